"""Reads an ONNX model from a file or from memory, and says in one sentence why it cannot be used if so."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import onnx
import onnx_ir as ir
from google.protobuf.message import DecodeError

from camgraph.v1 import manifest_pb2 as pb
from camgraph_exporter.errors import ModelFileError
from camgraph_exporter.frontends.pytorch.files import is_torch_file, what_it_is
from camgraph_exporter.frontends.sparse_weights import fill_sparse_weights
from camgraph_exporter.frontends.stated.metadata import trained_size
from camgraph_exporter.frontends.stated.preprocessing import Stated
from camgraph_exporter.frontends.tensor_outputs import keep_tensor_outputs, labels_of_maps
from camgraph_exporter.frontends.well_formed import check_well_formed, to_model
from camgraph_exporter.storage import embed_weights

# The name that stands for the layer which camgraph chooses.
AUTO = "auto"


@dataclass(frozen=True)
class LoadedModel:
    """A model in memory with the facts about where it came from.

    Attributes:
        model: The model.
        source: What the manifest says of where it came from.
        layers: Names of the layers that the user asked for: of tensors, keys of `aliases`, or `AUTO`.
        aliases: Names of parts of a module, and the tensors that they stand for.
        size: Height and width in pixels that the user states.
        stated: How photos were prepared in training, where the source or the user's preprocessing says it.
        notes: Remarks for the user.
        map_labels: Class labels of the maps that it makes beside tensors, by the name of the map.
        labels_beside: Class labels in files beside the model, by where they are.
        file: The file, where its inputs and outputs are those of the model, so that it can be run beside it.

    """

    model: ir.Model
    source: pb.Source
    layers: tuple[str, ...] = ()
    aliases: Mapping[str, str] = field(default_factory=dict)
    size: tuple[int, int] | None = None
    stated: Stated | None = None
    notes: tuple[str, ...] = ()
    map_labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    labels_beside: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    file: Path | None = None

    @property
    def open_size(self) -> tuple[int, int] | None:
        """Height and width in pixels where the model leaves them open, as far as anybody says them."""
        return self.size or (self.stated.size if self.stated is not None else None) or self.trained_size

    @property
    def trained_size(self) -> tuple[int, int] | None:
        """Height and width of training in pixels, as Ultralytics' export writes them into the metadata."""
        return trained_size(self.model.metadata_props)


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
    _check_content(proto, str(path))
    _check_external_data(proto, path)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    loaded = _loaded(proto, str(path), path.parent, _source_of(proto, path.name, digest))
    return replace(loaded, file=None if loaded.notes else path)


def load_proto(proto: onnx.ModelProto, name: str = "") -> LoadedModel:
    """Take a model that is in memory, with its weights; it is left as it was.

    Raises:
        ModelFileError: it is not a usable model, or its weights are in files.

    """
    where = name or "ModelProto"
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    _check_content(copy, where)
    if any(map(onnx.external_data_helper.uses_external_data, onnx.external_data_helper._get_all_tensors(copy))):
        raise ModelFileError(f"The weights of {where!r} are in files. Give the path of its .onnx file.")
    digest = hashlib.sha256(copy.SerializeToString(deterministic=True)).hexdigest()
    return _loaded(copy, where, Path(), _source_of(copy, name or copy.graph.name, digest))


def _loaded(proto: onnx.ModelProto, where: str, folder: Path, source: pb.Source) -> LoadedModel:
    """Turn a parsed model into its form in memory; `folder` has its external weights."""
    fill_sparse_weights(proto, str(folder))
    map_labels = labels_of_maps(proto)
    notes = keep_tensor_outputs(proto)
    model = to_model(proto, where)
    _sort(model, where)
    ir.external_data.set_base_dir(model.graph, folder)
    embed_weights(model)
    return LoadedModel(model, source, notes=notes, map_labels=map_labels)


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


def _check_content(proto: onnx.ModelProto, where: str) -> None:
    # Garbage can parse as an empty message, and a truncated file can lose its end without breaking the wire format.
    if not proto.graph.node or not proto.graph.output:
        raise ModelFileError(
            f"{where!r} holds no graph: it is not an ONNX model, or it is truncated. "
            "Export or download the model again."
        )
    if not any(opset.domain in ("", "ai.onnx") for opset in proto.opset_import):
        raise ModelFileError(
            f"{where!r} imports no version of the standard operators, so its nodes have no meaning. Export it again."
        )
    newest = onnx.defs.onnx_opset_version()
    opset = next(opset.version for opset in proto.opset_import if opset.domain in ("", "ai.onnx"))
    if not 1 <= opset <= newest:
        raise ModelFileError(
            f"{where!r} uses opset {opset}, but the installed onnx knows 1 to {newest}. "
            "Install a newer onnx, or export the model again with an older opset."
        )
    check_well_formed(proto, where)


def _sort(model: ir.Model, where: str) -> None:
    """Bring the nodes into an order in which they can run; runtimes do so by themselves."""
    try:
        model.graph.sort()
    except ValueError as error:
        raise ModelFileError(f"The nodes of {where!r} form a cycle, so they cannot run. Export it again.") from error


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


def _source_of(proto: onnx.ModelProto, name: str, digest: str) -> pb.Source:
    opset = next(opset.version for opset in proto.opset_import if opset.domain in ("", "ai.onnx"))
    producer = f"{proto.producer_name} {proto.producer_version}".strip()
    return pb.Source(file_name=name, sha256=digest, producer=producer, opset_version=opset)
