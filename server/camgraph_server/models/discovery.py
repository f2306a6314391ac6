"""Which files of a directory are models.

A repository is a directory with any mix of::

    NAME.onnx                   version 1
    NAME/model.onnx             version 1
    NAME/VERSION/model.onnx     VERSION is a decimal number

A memory bank lies beside its graph, as ``bank.npz`` beside ``model.onnx`` and as ``NAME.onnx.bank.npz`` beside
``NAME.onnx``.

Hidden entries, `lost+found` and other files are ignored; so is a name that is not UTF-8, which no caller could say.
What looks like a model and cannot be one, or cannot be read, is listed with the reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from camgraph_server.errors import RepositoryError

MODEL_FILE = "model.onnx"
_NOT_OURS = frozenset({"lost+found"})  # every ext4 volume has it, and only root may read it

Key: TypeAlias = tuple[str, str]
"""Name and version."""


@dataclass(frozen=True)
class FileStamp:
    """What tells one state of a file from another without reading it."""

    name: str
    size: int
    modified_ns: int
    inode: int


@dataclass(frozen=True)
class Entry:
    """The files of one version of a model, as they are at one moment.

    Attributes:
        name: The model's name.
        version: Its version, a decimal number as text.
        path: The graph.
        problem: Why it cannot be a model; empty otherwise.
        files: The graph, the files with its weights, and its bank. Equal stamps mean equal files.
    """

    name: str
    version: str
    path: Path
    problem: str = ""
    files: tuple[FileStamp, ...] = ()

    @property
    def key(self) -> Key:
        """Name and version."""
        return self.name, self.version

    @property
    def order(self) -> tuple[str, int, str]:
        """What entries are sorted by: names, then versions as numbers."""
        return self.name, int(self.version) if _is_version(self.version) else -1, self.version

    @property
    def size(self) -> int:
        """Bytes of the files."""
        return sum(file.size for file in self.files)

    def has_changed(self) -> bool:
        """Whether the files are others now."""
        try:
            return _files_of(self.path) != self.files
        except OSError:
            return True


@dataclass(frozen=True)
class Listing:
    """What a directory holds.

    Attributes:
        entries: The models, sorted by name, then version.
        ignored: Paths whose names are not UTF-8.
        unreadable: Names of models whose folders cannot be read, so that nobody knows which versions there are.
    """

    entries: tuple[Entry, ...]
    ignored: frozenset[str]
    unreadable: frozenset[str]


def discover(directory: Path) -> Listing:
    """Looks through a directory; no file is opened.

    Raises:
        RepositoryError: The directory does not exist or cannot be read.
    """
    try:
        if not directory.is_dir():
            raise RepositoryError(f"The model repository {directory} is not a directory.")
        inside = sorted(directory.iterdir())
    except OSError as error:
        raise RepositoryError(f"The model repository {directory} cannot be read: {error.strerror}.") from error
    found: dict[Key, Entry] = {}
    for path in filter(_is_considered, inside):
        for entry in _entries_of(path):
            first = found.setdefault(entry.key, entry)
            if first is not entry:
                problem = f"It is there twice, as {first.path} and as {entry.path}: keep one."
                found[entry.key] = replace(first, problem=problem)
    ignored = frozenset(ascii(str(path)) for path in inside if not _is_utf8(path.name))
    # The path of an entry is a graph's file, except where its folder could not be looked into.
    unreadable = frozenset(entry.name for entry in found.values() if entry.problem and entry.path.suffix != ".onnx")
    return Listing(tuple(sorted(found.values(), key=lambda entry: entry.order)), ignored, unreadable)


def _is_considered(path: Path) -> bool:
    return _is_utf8(path.name) and not path.name.startswith(".") and path.name not in _NOT_OURS


def _entries_of(path: Path) -> Iterator[Entry]:
    """The models that one entry of the directory stands for."""
    is_file = path.suffix == ".onnx"
    try:
        if path.is_dir():
            yield from _versions_of(path)
        elif is_file:
            files = _files_of(path)
            yield Entry(path.stem, "1", path, "" if path.is_file() else f"{path} is not a regular file.", files)
    except OSError as error:
        yield Entry(path.stem if is_file else path.name, "1", path, _unreadable(path, error))


def _versions_of(folder: Path) -> Iterator[Entry]:
    entries = [entry for path in _candidates(folder) if (entry := _version_of(folder, path)) is not None]
    yield from entries
    if not entries:
        problem = f"{folder} holds no {MODEL_FILE}, neither itself nor in a folder named by a version."
        yield Entry(folder.name, "1", folder / MODEL_FILE, problem)


def _version_of(folder: Path, path: Path) -> Entry | None:
    """The version of a folder that a path stands for; None if there is nothing."""
    version = "1" if path.parent == folder else path.parent.name
    try:
        if not path.is_file():
            return None
        problem = f"{path.parent} is not a version: name it by a decimal number such as 1."
        return Entry(folder.name, version, path, "" if _is_version(version) else problem, _files_of(path))
    except OSError as error:
        return Entry(folder.name, version, path, _unreadable(path, error))


def _unreadable(path: Path, error: OSError) -> str:
    return f"{path} cannot be read: {error.strerror}. Let the server's user read it."


def _candidates(folder: Path) -> Iterator[Path]:
    yield folder / MODEL_FILE
    for inner in sorted(folder.iterdir()):
        if _is_considered(inner) and inner.is_dir():
            yield inner / MODEL_FILE


def _files_of(path: Path) -> tuple[FileStamp, ...]:
    """The graph, and what may hold its weights: in a folder of its own all files, otherwise those named after it."""
    beside = sorted(path.parent.iterdir())
    if path.name != MODEL_FILE:
        beside = [file for file in beside if file.name.startswith(f"{path.name}.")]
    others = [file for file in beside if file != path and _is_considered(file) and file.is_file()]
    return tuple(map(_stamp, [path, *others]))


def _stamp(path: Path) -> FileStamp:
    status = path.stat()
    return FileStamp(path.name, status.st_size, status.st_mtime_ns, status.st_ino)


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_version(text: str) -> bool:
    return text.isascii() and text.isdecimal() and str(int(text)) == text
