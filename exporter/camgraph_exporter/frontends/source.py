"""Takes a model as users have it: a file, a model in memory, a PyTorch module, or a function that builds one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, Union

import onnx

from camgraph_core.errors import UsageError
from camgraph_exporter.errors import ModelFileError
from camgraph_exporter.frontends.factory import call_factory, is_factory
from camgraph_exporter.frontends.onnx_file import LoadedModel, load_onnx, load_proto
from camgraph_exporter.frontends.options import SourceOptions
from camgraph_exporter.frontends.pytorch.files import is_torch_file
from camgraph_exporter.frontends.stated.beside import own_statements
from camgraph_exporter.frontends.stated.preprocessing import stated_preprocessing
from camgraph_runtime.manifest import METADATA_KEY

if TYPE_CHECKING:
    import torch

Source: TypeAlias = Union[str, Path, onnx.ModelProto, "torch.nn.Module", "torch.export.ExportedProgram"]


def load(source: Source, options: SourceOptions, layers: Sequence[Any] = ()) -> LoadedModel:
    """Load a model.

    Args:
        source: the path of an .onnx file, of a TorchScript file or of a program of `torch.export`; text
            `package.module:factory`; an `onnx.ModelProto`; a PyTorch module or an exported program.
        options: what the source leaves open.
        layers: names of tensors; for a PyTorch module also names of its parts, or the parts themselves.

    Raises:
        ExportError: the model cannot be read.
        UsageError: an option does not fit it, or PyTorch is not installed.

    """
    return _load_onnx(source, options, layers) if _is_onnx(source) else _load_torch(source, options, layers)


def _is_onnx(source: object) -> bool:
    if isinstance(source, str | Path):
        return not is_factory(str(source)) and not (is_torch_file(Path(source)) and Path(source).is_file())
    return isinstance(source, onnx.ModelProto)


def _load_onnx(source: Any, options: SourceOptions, layers: Sequence[Any]) -> LoadedModel:
    if options.dynamic_size:
        raise UsageError("--dynamic-size is for PyTorch modules; an .onnx file has its sizes already.")
    if options.example_input is not None:
        raise UsageError("An example input is for PyTorch modules; an ONNX model has its inputs already.")
    unnamed = [layer for layer in layers if not isinstance(layer, str)]
    if unnamed:
        kind = type(unnamed[0]).__name__
        raise UsageError(f"A layer of an ONNX model is named by its tensor. A {kind} was given.")
    is_proto = isinstance(source, onnx.ModelProto)
    loaded = load_proto(source, options.name) if is_proto else load_onnx(source)
    if METADATA_KEY in loaded.model.metadata_props:
        raise ModelFileError(
            f"{loaded.source.file_name or 'The model'} is an explainable graph already. `camgraph verify` proves it, "
            "and `camgraph explain` runs it; give the trained model that it was made of."
        )
    if options.name:
        loaded.source.file_name = options.name
    own = own_statements(
        loaded.model.metadata_props,
        None if is_proto else Path(source),
        classifies=all(value.shape is not None and len(value.shape) <= 2 for value in loaded.model.graph.outputs),
    )
    stated = stated_preprocessing(None, options.preprocessing) or own.preprocessing
    notes = (*loaded.notes, *(own.notes if stated is own.preprocessing else ()))
    return replace(
        loaded, layers=tuple(layers), size=options.input_size, stated=stated, labels_beside=own.labels, notes=notes
    )


def _load_torch(source: Any, options: SourceOptions, layers: Sequence[Any]) -> LoadedModel:
    # PyTorch is an extra: it is imported only where a module is read.
    try:
        from camgraph_exporter.frontends.pytorch import source as pytorch
    except ImportError as error:
        raise UsageError(
            f"PyTorch models need the package {error.name or 'torch'!r}, which is not installed. "
            "Install it with: pip install 'camgraph[torch]'."
        ) from error
    if not isinstance(source, str | Path):
        return pytorch.load_source(source, options, layers)
    if is_factory(str(source)):
        return pytorch.load_built(str(source), call_factory(str(source)), options, layers)
    return pytorch.load_file(Path(source), options, layers)
