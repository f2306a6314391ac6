"""Which files of a directory are models.

A repository is a directory with any mix of::

    NAME.onnx                   version 1
    NAME/model.onnx             version 1
    NAME/VERSION/model.onnx     VERSION is a decimal number

Hidden entries, `lost+found` and other files are ignored; so is a name that is not UTF-8, which no caller could say.
What looks like a model and cannot be one, or cannot be read, is listed as failed with the reason.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

from camgraph_server.errors import RepositoryError
from camgraph_server.models.model import Model
from camgraph_server.observe.log import log_event

MODEL_FILE = "model.onnx"
_NOT_OURS = frozenset({"lost+found"})  # every ext4 volume has it, and only root may read it
_log = logging.getLogger("camgraph.repository")


def discover(directory: Path) -> list[Model]:
    """The models of a repository, none of them loaded, sorted by name, then version.

    Raises:
        RepositoryError: The directory does not exist or cannot be read.
    """
    if not directory.is_dir():
        raise RepositoryError(f"The model repository {directory} is not a directory.")
    try:
        entries = sorted(directory.iterdir())
    except OSError as error:
        raise RepositoryError(f"The model repository {directory} cannot be read: {error.strerror}.") from error
    found: dict[tuple[str, str], Model] = {}
    for entry in filter(_is_considered, entries):
        for model in _models_of(entry):
            first = found.setdefault((model.name, model.version), model)
            if first is not model:
                first.fail(f"It is there twice, as {first.path} and as {model.path}: keep one.")
    return sorted(found.values(), key=lambda model: (model.name, _order(model.version)))


def _is_considered(entry: Path) -> bool:
    if not _is_utf8(entry.name):
        log_event(_log, logging.WARNING, "ignored, as its name is not UTF-8", path=ascii(str(entry)))
        return False
    return not entry.name.startswith(".") and entry.name not in _NOT_OURS


def _models_of(entry: Path) -> Iterator[Model]:
    """The models that one entry of the repository stands for."""
    try:
        if entry.is_dir():
            yield from _versions_of(entry)
        elif entry.suffix == ".onnx":
            yield Model(entry.stem, "1", entry)
    except OSError as error:
        model = Model(entry.stem if entry.suffix == ".onnx" else entry.name, "1", entry)
        model.fail(f"{entry} cannot be read: {error.strerror}. Let the server's user read it.")
        yield model


def _versions_of(folder: Path) -> Iterator[Model]:
    files = [path for path in _candidates(folder) if path.is_file()]
    for path in files:
        version = "1" if path.parent == folder else path.parent.name
        model = Model(folder.name, version, path)
        if not _is_version(version):
            model.fail(f"{path.parent} is not a version: name it by a decimal number such as 1.")
        yield model
    if not files:
        model = Model(folder.name, "1", folder / MODEL_FILE)
        model.fail(f"{folder} holds no {MODEL_FILE}, neither itself nor in a folder named by a version.")
        yield model


def _candidates(folder: Path) -> Iterator[Path]:
    yield folder / MODEL_FILE
    for inner in sorted(folder.iterdir()):
        if _is_considered(inner) and inner.is_dir():
            yield inner / MODEL_FILE


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_version(text: str) -> bool:
    return text.isascii() and text.isdecimal() and str(int(text)) == text


def _order(version: str) -> tuple[int, str]:
    return (int(version), version) if _is_version(version) else (-1, version)
