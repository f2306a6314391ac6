"""Public names of a package that are imported when they are used.

So whoever needs an error or a target does not wait for Pillow or grpc.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazy_names(package: str, module_of: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The `__getattr__` and the `__dir__` of a package (PEP 562).

    Type checkers do not run them: the package also imports its names under `TYPE_CHECKING` and lists them in `__all__`.

    Args:
        package: Name of the package.
        module_of: For each public name, the module of the package that defines it: `MODULE`, or `MODULE:NAME` where
            it has another name there. A module of another package is named in full.

    """

    def get(name: str) -> Any:
        if name not in module_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module, _, name_there = module_of[name].partition(":")
        whole = module if module.startswith("camgraph_") else f"{package}.{module}"
        return getattr(import_module(whole), name_there or name)

    def names() -> list[str]:
        return sorted(module_of)

    return get, names
