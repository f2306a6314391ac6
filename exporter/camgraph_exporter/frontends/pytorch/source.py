"""Takes a PyTorch module as users have it: itself, with an example and its preprocessing, in a file, from a factory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from camgraph_exporter.errors import ModuleError
from camgraph_exporter.frontends.onnx_file import LoadedModel
from camgraph_exporter.frontends.options import SourceOptions
from camgraph_exporter.frontends.pytorch import files, kinds
from camgraph_exporter.frontends.pytorch.module import default_example, load_module
from camgraph_exporter.frontends.stated.preprocessing import stated_preprocessing


def load_source(source: Any, options: SourceOptions, layers: Sequence[Any]) -> LoadedModel:
    """Turn a module, or an exported program, into an ONNX model, with what it states of its preprocessing.

    Raises:
        ModuleError: it is something else, does not run, or cannot be exported.
        LayerError: a layer is not a part of the module, or has no tensor of its own.

    """
    module = kinds.module_of(source)
    stated = stated_preprocessing(module, options.preprocessing)
    size = options.input_size or (stated.size if stated is not None else None)
    example = options.example_input if options.example_input is not None else kinds.example_of(source)
    if example is None:
        example = default_example(module, size, options.frames)
    names = tuple(kinds.layer_name(module, layer) for layer in layers)
    loaded = load_module(module, example, layers=names, name=options.name, dynamic_size=options.dynamic_size)
    return replace(loaded, layers=names, size=options.input_size, stated=stated)


def load_file(path: Path, options: SourceOptions, layers: Sequence[Any]) -> LoadedModel:
    """Read a TorchScript file or a program of torch.export, which hold a network.

    Raises:
        ModuleError: the file holds something else, such as weights alone; the message says what and what to do.

    """
    kind = files.kind_of(path)
    if kind not in ("torchscript", "program"):
        raise ModuleError(files.what_it_is(path))
    try:
        module = torch.jit.load(str(path), map_location="cpu") if kind == "torchscript" else torch.export.load(path)
    except Exception as error:  # whatever the file makes PyTorch raise
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise ModuleError(
            f"{str(path)!r} cannot be read by PyTorch {torch.__version__}: {reason[0].rstrip('.')}. Save it again."
        ) from error
    return load_source(module, replace(options, name=options.name or path.name), layers)


def load_built(factory: str, built: object, options: SourceOptions, layers: Sequence[Any]) -> LoadedModel:
    """Take what a factory built: a module, or a tuple of it, an example input (or None) and its preprocessing.

    What the options say goes first.

    Raises:
        ModuleError: it is something else.

    """
    parts = built if isinstance(built, tuple) and len(built) in (2, 3) else (built,)
    if not kinds.is_module(parts[0]):
        raise ModuleError(
            f"The factory {factory!r} returned {type(parts[0]).__name__}, not a torch.nn.Module. "
            "Return the module, or a tuple of the module, an example input and its preprocessing."
        )
    module, example, preprocessing = (*parts, None, None)[:3]
    completed = replace(
        options,
        name=options.name or factory,
        example_input=example if options.example_input is None else options.example_input,
        preprocessing=preprocessing if options.preprocessing is None else options.preprocessing,
    )
    return load_source(module, completed, layers)
