"""The manifest of an explainable graph: a protobuf message, kept as JSON in the file's metadata."""

from __future__ import annotations

from pathlib import Path

from google.protobuf import json_format

from camgraph.v1.manifest_pb2 import Manifest
from camgraph_core.errors import InvalidGraphError
from camgraph_runtime.onnx_file import metadata_of

__all__ = [
    "FORMAT_VERSION",
    "METADATA_KEY",
    "Manifest",
    "manifest_from_json",
    "manifest_from_metadata",
    "manifest_of_file",
    "manifest_to_json",
]

METADATA_KEY = "camgraph.manifest"
FORMAT_VERSION = 1


def manifest_to_json(manifest: Manifest) -> str:
    """JSON of a manifest, with the field names of the proto file; equal manifests give equal text."""
    return json_format.MessageToJson(manifest, preserving_proto_field_name=True, sort_keys=True)


def manifest_from_json(text: str) -> Manifest:
    """Manifest from its JSON. Fields that this version does not know are ignored.

    Raises:
        InvalidGraphError: The text is not a manifest, or its format version is newer than `FORMAT_VERSION`.

    """
    try:
        manifest = json_format.Parse(text, Manifest(), ignore_unknown_fields=True)
    except json_format.ParseError as error:
        raise InvalidGraphError(
            f"The graph's manifest is damaged ({_first_line(error)}). Export the model again."
        ) from error
    if manifest.format_version > FORMAT_VERSION:
        raise InvalidGraphError(
            f"The graph's manifest has format version {manifest.format_version}, but this camgraph reads "
            f"versions up to {FORMAT_VERSION}. Install a newer camgraph, or export the model again."
        )
    if manifest.format_version == 0:
        raise InvalidGraphError("The graph's manifest states no format version. Export the model again.")
    return manifest


def manifest_from_metadata(metadata: dict[str, str], graph: str = "the graph") -> Manifest:
    """Manifest from the metadata of an ONNX file; ``graph`` is its name in error messages.

    Raises:
        InvalidGraphError: The file has no manifest, or `manifest_from_json` refuses it.

    """
    text = metadata.get(METADATA_KEY)
    if text is None:
        raise InvalidGraphError(
            f"{graph} is not an explainable graph: it has no metadata {METADATA_KEY!r}. "
            "Make one with `camgraph export`."
        )
    return manifest_from_json(text)


def manifest_of_file(path: Path) -> Manifest:
    """Manifest of an explainable graph's file, of which nothing else is read.

    Raises:
        InvalidGraphError: The file cannot be read, or has no manifest that can.

    """
    try:
        with path.open("rb") as file:
            text = metadata_of(file, path.stat().st_size, METADATA_KEY)
    except OSError as error:
        raise InvalidGraphError(f"{path} cannot be read: {error.strerror}.") from error
    return manifest_from_metadata({} if text is None else {METADATA_KEY: text}, path.name)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0].rstrip(".")
