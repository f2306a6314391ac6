"""The digest of an explainable graph: whether a file is still what was proven.

A file cannot hold its own digest. So the digest is of everything but the manifest, which holds it: of the fields of the
`ModelProto` as they stand in the file, in their order, without the entry of the metadata that is the manifest. Files
with weights have digests of their own, of all their bytes.
"""

from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path
from typing import BinaryIO

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.errors import InvalidGraphError
from camgraph_runtime.manifest import METADATA_KEY
from camgraph_runtime.onnx_file import external_locations, fields_of, is_entry

_PORTION = 1 << 20  # bytes that are read at once


def digest_of_bytes(model: bytes) -> pb.Digest:
    """The digest of a model in memory, which has all its weights in itself.

    Raises:
        InvalidGraphError: The bytes are not a model.
    """
    return pb.Digest(graph_sha256=_graph_sha256(io.BytesIO(model), len(model)))


def digest_of_file(path: Path) -> pb.Digest:
    """The digest of a model's file and of the files with its weights, in little memory.

    Raises:
        InvalidGraphError: The file is not a model, or a file with weights does not lie in its folder.
    """
    with _opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        names = sorted(external_locations(file, size))
        return pb.Digest(
            graph_sha256=_graph_sha256(file, size),
            data_files=[pb.DataFile(name=name, sha256=file_sha256(_beside(path, name))) for name in names],
        )


def check_digest(path: Path, expected: pb.Digest) -> None:
    """Checks that a model's file and the files with its weights have the digest that its manifest states, if it does.

    Raises:
        InvalidGraphError: One of them has another; or the file is not a model, or one with weights is missing.
    """
    if not expected.graph_sha256:
        return
    found = digest_of_file(path)
    if found.graph_sha256 != expected.graph_sha256:
        raise _changed(path.name)
    stated = {file.name: file.sha256 for file in expected.data_files}
    for file in found.data_files:
        if stated.get(file.name) != file.sha256:
            raise _changed(file.name)


def file_sha256(path: Path) -> str:
    """Lower-case hexadecimal SHA-256 of a file, as ``sha256sum`` prints it.

    Raises:
        InvalidGraphError: The file cannot be read.
    """
    with _opened(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _graph_sha256(file: BinaryIO, size: int) -> str:
    digest = hashlib.sha256()
    for field in fields_of(file, 0, size):
        if not is_entry(file, field, METADATA_KEY):
            _add(digest, file, field.start, field.end)
    return digest.hexdigest()


def _add(digest: hashlib._Hash, file: BinaryIO, start: int, end: int) -> None:
    file.seek(start)
    while start < end:
        portion = file.read(min(_PORTION, end - start))
        if not portion:
            raise InvalidGraphError("The file became shorter while it was read.")
        digest.update(portion)
        start += len(portion)


def _opened(path: Path) -> io.BufferedReader:
    if path.exists() and not path.is_file():  # to open a pipe would wait for its other end
        raise InvalidGraphError(f"{path} is not a file.")
    try:
        return path.open("rb")
    except OSError as error:
        raise InvalidGraphError(f"{path} cannot be read: {error.strerror}.") from error


def _beside(path: Path, name: str) -> Path:
    """A file of a model's folder; onnxruntime refuses others, too."""
    beside = path.parent / name
    if "\0" in name or not beside.resolve().is_relative_to(path.parent.resolve()):
        raise InvalidGraphError(f"{path.name} has weights in {name!r}, which is not in its folder.")
    return beside


def _changed(name: str) -> InvalidGraphError:
    return InvalidGraphError(
        f"{name} has changed since it was exported: it has not the digest that its manifest states. Copy it again, or "
        "export the model again."
    )
