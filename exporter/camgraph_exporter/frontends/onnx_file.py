"""Reads an ONNX file, and says in one sentence why it cannot be used if so."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import onnx
import onnx_ir as ir
from google.protobuf.message import DecodeError

from camgraph.v1 import manifest_pb2 as pb
from camgraph_exporter.errors import ModelFileError
from camgraph_exporter.frontends.pytorch.files import is_torch_file, what_it_is
from camgraph_exporter.frontends.sparse_weights import fill_sparse_weights
from camgraph_exporter.frontends.tensor_outputs import keep_tensor_outputs, labels_of_maps
from camgraph_exporter.frontends.well_formed import check_well_formed, to_model
from camgraph_exporter.storage import embed_weights


@dataclass(frozen=True)
class LoadedModel:
    """A model in memory with the facts about where it came from.

    `aliases`: names that the user gave to layers, and the tensors that they stand for. `notes`: remarks for the user.
    `map_labels`: class labels of the maps that it makes beside tensors, by the name of the map.
    `is_as_stored`: its inputs and outputs are those of the file, so that the file itself can be run beside it.
    """

    model: ir.Model
    source: pb.Source
    aliases: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    map_labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    is_as_stored: bool = True


def load_onnx(path: str | Path) -> LoadedModel:
    """Read the model at `path`, with its external weights unless they are too large for one file.

    Raises:
        ModelFileError: the file is missing, empty, truncated, not ONNX, or its external data is missing or too short.

    """
    path = Path(path)
    if path.is_dir():
        raise ModelFileError(f"{str(path)!r} is a folder. Give the path of an .onnx file.")
    if not path.is_file():
        raise ModelFileError(f"There is no file {str(path)!r}. Give the path of an .onnx file.")
    if is_torch_file(path):
        raise ModelFileError(what_it_is(path))
    proto = _parse(path)
    _check_content(proto, path)
    _check_external_data(proto, path)
    source = _source_of(proto, path)
    fill_sparse_weights(proto, str(path.parent))
    map_labels = labels_of_maps(proto)
    notes = keep_tensor_outputs(proto)
    model = to_model(proto, str(path))
    _sort(model, path)
    ir.external_data.set_base_dir(model.graph, path.parent)
    embed_weights(model)
    return LoadedModel(model, source, notes=notes, map_labels=map_labels, is_as_stored=not notes)


def _parse(path: Path) -> onnx.ModelProto:
    if path.stat().st_size == 0:
        raise ModelFileError(f"{str(path)!r} is empty. Export or download the model again.")
    try:
        return onnx.load(path, load_external_data=False, format="protobuf")
    except (DecodeError, ValueError) as error:
        raise ModelFileError(
            f"{str(path)!r} is not an ONNX file, or it is damaged or truncated ({error}). "
            "Export or download the model again."
        ) from error


def _check_content(proto: onnx.ModelProto, path: Path) -> None:
    # Garbage can parse as an empty message, and a truncated file can lose its end without breaking the wire format.
    if not proto.graph.node or not proto.graph.output:
        raise ModelFileError(
            f"{str(path)!r} holds no graph: it is not an ONNX model, or it is truncated. "
            "Export or download the model again."
        )
    if not any(opset.domain in ("", "ai.onnx") for opset in proto.opset_import):
        raise ModelFileError(
            f"{str(path)!r} imports no version of the standard operators, so its nodes have no meaning. "
            "Export it again."
        )
    newest = onnx.defs.onnx_opset_version()
    opset = next(opset.version for opset in proto.opset_import if opset.domain in ("", "ai.onnx"))
    if not 1 <= opset <= newest:
        raise ModelFileError(
            f"{str(path)!r} uses opset {opset}, but the installed onnx knows 1 to {newest}. "
            "Install a newer onnx, or export the model again with an older opset."
        )
    check_well_formed(proto, str(path))


def _sort(model: ir.Model, path: Path) -> None:
    """Bring the nodes into an order in which they can run; runtimes do so by themselves."""
    try:
        model.graph.sort()
    except ValueError as error:
        raise ModelFileError(
            f"The nodes of {str(path)!r} form a cycle, so they cannot run. Export it again."
        ) from error


def _check_external_data(proto: onnx.ModelProto, path: Path) -> None:
    problems = []
    for tensor in onnx.external_data_helper._get_all_tensors(proto):
        if not onnx.external_data_helper.uses_external_data(tensor):
            continue
        info = onnx.external_data_helper.ExternalDataInfo(tensor)
        file = path.parent / info.location
        needed = int(info.offset or 0) + int(info.length or 0)
        if not file.resolve().is_relative_to(path.parent.resolve()):
            problems.append(f"{info.location} lies outside the model's folder")
        elif not file.is_file():
            problems.append(f"{info.location} is missing")
        elif file.stat().st_size < needed:
            problems.append(f"{info.location} has {file.stat().st_size} bytes, tensor {tensor.name!r} needs {needed}")
    if problems:
        unique = list(dict.fromkeys(problems))
        raise ModelFileError(
            f"The external data of {str(path)!r} is not complete: {'; '.join(unique[:5])}. "
            "Put the data files beside the model."
        )


def _source_of(proto: onnx.ModelProto, path: Path) -> pb.Source:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    opset = next(opset.version for opset in proto.opset_import if opset.domain in ("", "ai.onnx"))
    producer = f"{proto.producer_name} {proto.producer_version}".strip()
    return pb.Source(file_name=path.name, sha256=digest, producer=producer, opset_version=opset)
