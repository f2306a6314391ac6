"""Models on disk, of any size.

A protobuf message holds less than 2 GiB. A model with more weights keeps them in external files: they stay where they
are while the model is rewritten, and a copy is written next to the explainable graph.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import onnx
import onnx_ir as ir

from camgraph_core.errors import UsageError

# The limit of protobuf, less room for what the exporter adds.
EMBEDDED_LIMIT = 2**31 - 2**26
_SMALLEST_EXTERNAL = 1024  # bytes; shapes and other small constants stay in the graph


def embed_weights(model: ir.Model) -> None:
    """Read external weights into memory, unless they are too many to be part of one file."""
    if _external_bytes(model) <= EMBEDDED_LIMIT:
        ir.external_data.load_to_model(model)


def weights_folder(model: ir.Model) -> Path | None:
    """Return the folder in which the model's external weights lie, or None if it has none."""
    folders = (
        Path(value.const_value.base_dir)
        for value in model.graph.initializers.values()
        if isinstance(value.const_value, ir.ExternalTensor)
    )
    return next(folders, None)


def with_weights(model: onnx.ModelProto, folder: Path | None) -> onnx.ModelProto:
    """Return the model with its external weights in memory."""
    if folder is None:
        return model
    loaded = onnx.ModelProto()
    loaded.CopyFrom(model)
    onnx.load_external_data_for_model(loaded, str(folder))
    return loaded


def check_model(model: onnx.ModelProto) -> None:
    """Check the model against the standard; external weights count as inputs, else the checker looks for their files.

    Raises:
        onnx.checker.ValidationError: the model is not valid ONNX.

    """
    bare = onnx.ModelProto()
    bare.CopyFrom(model)
    del bare.graph.initializer[:]
    for tensor in model.graph.initializer:
        if onnx.external_data_helper.uses_external_data(tensor):
            bare.graph.input.append(onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
        else:
            bare.graph.initializer.append(tensor)
    onnx.checker.check_model(bare)


def check_target(target: Path, source: Path | None = None) -> None:
    """Refuse a target that could not be written later, before any work is done.

    Raises:
        UsageError: the target is a folder, a device or the source itself, or its folder cannot be written to.

    """
    if target.is_dir():
        raise UsageError(f"The output {str(target)!r} is a folder. Give the path of the .onnx file to write.")
    if target.exists() and not target.is_file():
        raise UsageError(f"The output {str(target)!r} is not a file. Give the path of the .onnx file to write.")
    if source is not None and target.exists() and source.exists() and target.samefile(source):
        raise UsageError(f"The output {str(target)!r} is the model itself. Give another path, so that the model stays.")
    folder = next(parent for parent in target.absolute().parents if parent.exists())
    if not folder.is_dir():
        raise UsageError(f"The output {str(target)!r} cannot be written: {str(folder)!r} is a file, not a folder.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UsageError(f"The output {str(target)!r} cannot be written: {str(folder)!r} does not allow it.")


def write(
    model: onnx.ModelProto, target: Path, folder: Path | None = None, finish: Callable[[Path], None] | None = None
) -> None:
    """Write the file in one step: a reader sees the whole new graph or none.

    External weights, which lie in `folder`, are copied first, to a file that is named like the target with `.data` at
    the end. `finish` may change the graph's file before a reader can see it; its weights lie beside it by then.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name[:40]}.") as scratch:
        temporary = Path(scratch) / target.name
        if folder is None:
            temporary.write_bytes(model.SerializeToString())
        else:
            _save_with_data(model, folder, temporary)
        if finish is not None:
            finish(temporary)
        for file in sorted(Path(scratch).iterdir(), key=lambda path: path == temporary):
            file.replace(target.parent / file.name)


def _save_with_data(model: onnx.ModelProto, folder: Path, path: Path) -> None:
    with_data = ir.from_proto(model)
    ir.external_data.set_base_dir(with_data.graph, folder)
    ir.save(with_data, path, external_data=_data_file(path).name, size_threshold_bytes=_SMALLEST_EXTERNAL)


def written_bytes(target: Path, folder: Path | None) -> int:
    """Return the size of what `write` wrote: the file, and with weights in `folder` the one beside it."""
    return target.stat().st_size + (_data_file(target).stat().st_size if folder is not None else 0)


def _data_file(path: Path) -> Path:
    return path.with_name(f"{path.name}.data")


def _external_bytes(model: ir.Model) -> int:
    tensors = (value.const_value for value in model.graph.initializers.values())
    return sum(tensor.nbytes for tensor in tensors if isinstance(tensor, ir.ExternalTensor))
