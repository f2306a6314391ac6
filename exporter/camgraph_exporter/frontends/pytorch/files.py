"""Says what a file of PyTorch holds, without running or unpickling anything of it. PyTorch need not be installed."""

from __future__ import annotations

import io
import pickletools
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

SUFFIXES = {".pt", ".pth", ".pt2", ".ckpt", ".bin", ".safetensors", ".torchscript", ".jit"}
_MOST_PICKLE = 64 * 1024 * 1024
_MOST_NAMES = 4
_HARMLESS = ("torch.", "collections.", "numpy.", "builtins.", "__builtin__.", "_codecs.")
_RECIPE = (
    "Write a function that builds the network and loads this file into it, and export that: "
    "camgraph export package.module:factory (docs/pytorch.md)."
)


def is_torch_file(path: Path) -> bool:
    """Tell whether a path names a file of PyTorch by its suffix."""
    return path.suffix.lower() in SUFFIXES


def kind_of(path: Path) -> str:
    """Return "torchscript", "program" (of torch.export), "pickle", "safetensors" or "unknown"."""
    if path.suffix.lower() == ".safetensors":
        return "safetensors"
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
        if any(
            "serialized_exported_program" in name or "/models/" in name or "exported_program" in name for name in names
        ):
            return "program"
        if any(name.endswith("/constants.pkl") or "/code/" in name for name in names):
            return "torchscript"
        return "pickle" if any(name.endswith("data.pkl") for name in names) else "unknown"
    with path.open("rb") as file:
        start = file.read(2)
    # Files of PyTorch before 1.6 are plain pickles.
    return "pickle" if start[:1] == b"\x80" else "unknown"


def what_it_is(path: Path) -> str:
    """Say in one or two sentences what a file holds, and what to do."""
    kind = kind_of(path)
    name = repr(str(path))
    if kind in ("torchscript", "program"):
        what = "TorchScript module" if kind == "torchscript" else "program of torch.export"
        return f"{name} holds a {what}, not an ONNX model. Export it with camgraph export."
    if kind == "safetensors":
        return f"{name} holds weights, but not the network that uses them. {_RECIPE}"
    if kind == "unknown":
        return f"{name} is not a file that PyTorch writes. Give an .onnx file, or package.module:factory."
    classes, keys = _globals_and_keys(_pickle(path))
    modules = [text for text in classes if not text.startswith(_HARMLESS)]
    modules += [text for text in classes if text.startswith(("torch.nn.modules.", "torchvision.models."))]
    if modules:
        return (
            f"{name} holds pickled objects ({', '.join(modules[:_MOST_NAMES])}), and loading them would run code from "
            f"the file. {_RECIPE}"
        )
    nested = [key for key in ("state_dict", "model_state_dict", "model", "model_ema", "net", "ema") if key in keys]
    if nested and any(key in keys for key in ("optimizer", "epoch", "optimizer_state_dict", "global_step", *nested)):
        return f"{name} holds a checkpoint: weights under {nested[0]!r}, but not the network that uses them. {_RECIPE}"
    return f"{name} holds a state dict: weights, but not the network that uses them. {_RECIPE}"


def _pickle(path: Path) -> bytes:
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            name = next(name for name in archive.namelist() if name.endswith("data.pkl"))
            with archive.open(name) as file:
                return file.read(_MOST_PICKLE)
    with path.open("rb") as file:
        return file.read(_MOST_PICKLE)


def _globals_and_keys(data: bytes) -> tuple[list[str], set[str]]:
    """Return the classes that a pickle names and its short strings, by reading its opcodes."""
    classes: dict[str, None] = {}
    keys: set[str] = set()
    strings: list[str] = []
    for opcode, argument in _opcodes(data):
        if opcode == "GLOBAL":
            classes[str(argument).replace(" ", ".")] = None
        elif opcode == "STACK_GLOBAL":
            classes[".".join(strings[-2:])] = None
        elif isinstance(argument, str):
            strings.append(argument)
            if re.fullmatch(r"\w{1,32}", argument):
                keys.add(argument)
    return list(classes), keys


def _opcodes(data: bytes) -> Iterator[tuple[str, object]]:
    """Yield the opcodes of the pickles that follow each other in `data`; files before PyTorch 1.6 have several."""
    stream = io.BytesIO(data)
    try:
        while stream.tell() < len(data):
            yield from ((opcode.name, argument) for opcode, argument, _ in pickletools.genops(stream))
    except ValueError:
        return  # what follows the pickles, or the end of what was read: enough is known to describe it
