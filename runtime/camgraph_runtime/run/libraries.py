"""Compiled libraries: which are there, and why one cannot be loaded."""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path

_MODULES = {
    "numpy": "numpy",
    "onnxruntime": "onnxruntime",
    "pillow": "PIL.Image",
    "simplejpeg": "simplejpeg",
    "protobuf": "google.protobuf.message",
    "grpc": "grpc",
    "onnx": "onnx",
}
"""By the package's name, the module whose import loads its library."""

_SHARED = "libonnxruntime_providers_shared.so"
_OK = ""


def load_libraries() -> dict[str, str]:
    """Loads each installed library of camgraph, and those of onnxruntime's providers.

    Returns:
        By its name why it cannot be loaded, in the words of Python or of the system's loader; empty where it can.
    """
    found = {name: _imported(module) for name, module in _MODULES.items() if _is_installed(module)}
    return found | {path.name: _loaded(path) for path in _provider_libraries()}


def _is_installed(module: str) -> bool:
    with contextlib.suppress(ModuleNotFoundError):  # a part of a package that is not installed
        return importlib.util.find_spec(module.partition(".")[0]) is not None
    return False


def _imported(module: str) -> str:
    try:
        importlib.import_module(module)
    except Exception as error:  # a broken installation may raise anything
        return str(error) or type(error).__name__
    return _OK


def _loaded(path: Path) -> str:
    try:
        ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)
    except OSError as error:
        return str(error)
    return _OK


def _provider_libraries() -> Iterator[Path]:
    """The libraries of providers that stand beside onnxruntime's own; first the one that the others need."""
    spec = importlib.util.find_spec("onnxruntime")
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        paths = sorted(Path(folder, "capi").glob("libonnxruntime_providers_*.so"))
        yield from sorted(paths, key=lambda path: path.name != _SHARED)
