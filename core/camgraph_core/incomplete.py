"""Settings of which some could not be read: what is wrong between the others can be told all the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from camgraph_core.errors import CamgraphError
from camgraph_core.settings import NotReadError, separated


def problems_among(settings: type, values: Mapping[str, Any]) -> list[str]:
    """What is wrong among some values of a dataclass, each a sentence; a check that needs another value says nothing.

    Args:
        settings: The dataclass, whose `__post_init__` checks it, if there is one.
        values: The values that could be read, by their fields.

    """

    def read(instance: Any, name: str) -> Any:
        if name in settings.__dataclass_fields__ and name not in values:  # type: ignore[attr-defined]  # a dataclass
            raise NotReadError(name)
        return object.__getattribute__(instance, name)

    if not hasattr(settings, "__post_init__"):
        return []
    instance: Any = object.__new__(type(settings.__name__, (settings,), {"__getattribute__": read}))
    for field, value in values.items():
        object.__setattr__(instance, field, value)
    try:
        instance.__post_init__()
    except NotReadError:
        return []
    except CamgraphError as error:
        return separated(str(error))
    return []
