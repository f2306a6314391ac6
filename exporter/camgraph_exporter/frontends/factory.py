"""Finds and calls the function that builds a PyTorch module: `package.module:factory`."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from typing import Any

from camgraph_core.errors import UsageError
from camgraph_exporter.errors import ModuleError, closest

_SPEC = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")


def is_factory(text: str) -> bool:
    """Tell whether a model was named as `package.module:factory` rather than by the path of a file."""
    return _SPEC.fullmatch(text) is not None and not Path(text).exists()


def check_factory(spec: str) -> None:
    """Refuse text that does not name a factory.

    Raises:
        UsageError: it is not of the form `package.module:factory`.

    """
    if _SPEC.fullmatch(spec) is None:
        raise UsageError(f"{spec!r} does not name a factory. Write package.module:factory, such as my.models:build.")


def call_factory(spec: str) -> Any:
    """Import the module, call the factory without arguments, and return what it built.

    The current folder is importable, as it is for `python -m`.

    Raises:
        UsageError: the text is no `package.module:factory`, or there is no such module or factory.
        ModuleError: importing the module or calling the factory failed.

    """
    check_factory(spec)
    module_name, _, path = spec.partition(":")
    found: Any = _import(module_name)
    for name in path.split("."):
        if not hasattr(found, name):
            raise UsageError(f"Module {module_name!r} has no {path!r}.{closest(name, vars(found))}")
        found = getattr(found, name)
    if not callable(found):
        kind = type(found).__name__
        raise UsageError(f"{spec!r} is not a function but {kind}. Name a function that builds the module.")
    try:
        return found()
    except Exception as error:  # the code of a user
        raise ModuleError(
            f"The factory {spec!r} raised {type(error).__name__}: {_first_line(error)}. It is called without arguments."
        ) from error


def _import(name: str) -> Any:
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or name
        if name == missing or name.startswith(f"{missing}."):
            raise UsageError(
                f"There is no Python module {missing!r}, neither installed nor in {folder!r}. "
                "Write package.module:factory."
            ) from error
        raise ModuleError(f"Module {name!r} needs {missing!r}, which is not installed.") from error
    except Exception as error:  # the code of a user
        raise ModuleError(f"Importing module {name!r} raised {type(error).__name__}: {_first_line(error)}.") from error


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else "no message"
