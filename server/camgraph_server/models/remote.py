"""A repository elsewhere, by a URL that fsspec knows: its files are copied into a private folder of this machine.

The copy follows the origin: only what is new or other is copied again, and what is gone there is removed here. So
everything else works with the copy as with any folder.
"""

from __future__ import annotations

import contextlib
import fcntl
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import Any, TextIO

from camgraph_core.errors import UsageError
from camgraph_core.redaction import without_credentials
from camgraph_server.config.limits import MIB
from camgraph_server.errors import RepositoryError

_PREFIX = "camgraph-models-"
_LOCK = ".lock"
_DEEPEST = 3  # NAME/VERSION/FILE
_MOST_FILES = 10_000
_PORTION = MIB


@dataclass(frozen=True)
class _Remote:
    """A file elsewhere: its path there, its bytes, and what changes when it changes."""

    path: str
    size: int
    state: str


class RemoteFolder:
    """A copy of a folder elsewhere.

    Args:
        url: The folder, as fsspec names it.
        cache: Where to make a private folder for the copy; by default where the system has temporary files.
        most_bytes: Bytes that the copy may have.

    Attributes:
        folder: The copy. It is empty until `fetch`.

    Raises:
        UsageError: fsspec or what it needs for such a URL is not installed, or the URL cannot be one.
        RepositoryError: There is no place for the copy.
    """

    def __init__(self, url: str, cache: Path | None, most_bytes: int) -> None:
        self._url = without_credentials(url)  # for messages
        self._most_bytes = most_bytes
        self._files: Any
        self._files, self._root = _opened(url)
        self._copied: dict[str, str] = {}
        try:
            _remove_left_behind(cache or Path(tempfile.gettempdir()))
            self.folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=cache))
            self._lock = _locked(self.folder)
        except OSError as error:
            raise RepositoryError(
                f"There is no place for a copy of {self._url}: {error}. Give --model-cache."
            ) from error

    def fetch(self) -> None:
        """Copies what is new or other, and removes what is gone.

        Raises:
            RepositoryError: The folder cannot be read, or has too much. What was copied before stays.
        """
        try:
            remote = self._listed()
            for name in sorted(remote, key=lambda name: (name.endswith(".onnx"), name)):  # weights before graphs
                if self._copied.get(name) != remote[name].state:
                    self._copy(name, remote[name])
        except RepositoryError:
            raise
        except Exception as error:  # each file system of fsspec has errors of its own
            reason = without_credentials(f"{type(error).__name__}: {error}")
            raise RepositoryError(f"{self._url} cannot be read ({reason}).") from error
        for name in self._copied.keys() - remote.keys():
            self._remove(name)

    def close(self) -> None:
        """Removes the copy."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self._lock.close()

    def _listed(self) -> Mapping[str, _Remote]:
        """The files that can belong to models, by their paths in the repository."""
        self._files.invalidate_cache()
        found = self._files.find(self._root, maxdepth=_DEEPEST, detail=True)
        listed = {}
        for path, info in found.items():
            name = PurePosixPath(path.removeprefix(self._root).lstrip("/"))
            if all(_is_plain(part) for part in name.parts) and 0 < len(name.parts) <= _DEEPEST:
                listed[str(name)] = _Remote(path, int(info.get("size") or 0), repr(sorted(info.items())))
        size = sum(file.size for file in listed.values())
        if len(listed) > _MOST_FILES or size > self._most_bytes:
            raise RepositoryError(
                f"{self._url} has {len(listed)} files with {size / MIB:.0f} MiB; the limits are {_MOST_FILES} files "
                f"and {self._most_bytes / MIB:.0f} MiB (--max-download-mib)."
            )
        return listed

    def _copy(self, name: str, file: _Remote) -> None:
        target = self.folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f".{target.name}.part")  # which no look takes for a model
        try:
            with self._files.open(file.path, "rb") as remote, part.open("wb") as local:
                left = file.size
                while portion := remote.read(min(_PORTION, left + 1)):
                    left -= len(portion)
                    if left < 0:
                        break
                    local.write(portion)
            if left != 0:
                raise RepositoryError(f"{name} in {self._url} changed while it was copied. It is copied again.")
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
        self._copied[name] = file.state

    def _remove(self, name: str) -> None:
        del self._copied[name]
        path = self.folder / name
        path.unlink(missing_ok=True)
        for folder in path.relative_to(self.folder).parents:
            if folder.parts:
                with contextlib.suppress(OSError):  # other files are in it
                    (self.folder / folder).rmdir()


def _is_plain(part: str) -> bool:
    """Whether it is the name of a file or folder that is not hidden, and leads nowhere else."""
    return bool(part) and not part.startswith(".") and "\0" not in part and "/" not in part


def _opened(url: str) -> tuple[Any, str]:
    """The file system of a URL, and the path in it."""
    if find_spec("fsspec") is None:
        raise UsageError(f"A repository such as {without_credentials(url)} needs fsspec; install camgraph[remote].")
    from fsspec.core import url_to_fs  # noqa: PLC0415 - an extra

    try:
        files, root = url_to_fs(url)
    except Exception as error:  # of the file system that it names, or because there is none
        raise UsageError(
            without_credentials(f"The repository {url} cannot be used: {error}.")
            + " Install what fsspec needs for it, or correct it."
        ) from error
    return files, str(root).rstrip("/")


def _locked(folder: Path) -> TextIO:
    """Holds a lock as long as this process lives, so that others know what is left behind."""
    lock = (folder / _LOCK).open("w", encoding="ascii")
    fcntl.flock(lock, fcntl.LOCK_EX)
    return lock


def _remove_left_behind(cache: Path) -> None:
    """Removes copies of processes that were ended before they could."""
    for lock in cache.glob(f"{_PREFIX}*/{_LOCK}"):
        with contextlib.suppress(OSError), lock.open("a", encoding="ascii") as file:  # somebody has it, or it is gone
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(lock.parent, ignore_errors=True)
