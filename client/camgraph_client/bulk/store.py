"""Files of a shared store, by URLs that fsspec knows."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fsspec.core import url_to_fs

from camgraph_core.errors import CamgraphError, UsageError
from camgraph_core.redaction import without_credentials


def whole(url: str) -> str:
    """A path of this machine as an absolute one, so that it means the same wherever it is read; a URL as it is."""
    return url if "://" in url else str(Path(url).absolute())


def shared(url: str) -> str:
    """The URL of a store that other processes see as well, as `whole` gives it.

    Raises:
        UsageError: It is the memory of this process.
    """
    if url.startswith("memory:"):
        raise UsageError(f"{url} lies in the memory of one process, and others do the work; name a shared store.")
    return whole(url)


def opened(url: str) -> tuple[Any, str]:
    """The file system of a URL or of a path, and the path in it.

    Raises:
        UsageError: There is no such kind of URL, or what fsspec needs for it is not installed.

    """
    try:
        files, path = url_to_fs(url)
    except Exception as error:  # of the file system that it names, or because there is none
        raise UsageError(
            without_credentials(f"{url} cannot be used: {error}.") + " Install what fsspec needs for it, or correct it."
        ) from error
    return files, str(path)


@dataclass(frozen=True)
class Folder:
    """A folder of a store, in which a file is either whole or not there.

    Attributes:
        url: The folder. It need not exist.

    """

    url: str

    def names(self) -> list[str]:
        """The files in it, without those that are hidden; sorted."""
        files, root = self._opened
        files.invalidate_cache()
        if not files.isdir(root):
            return []
        found = files.ls(root, detail=True)
        names = (str(entry["name"]).rstrip("/").rpartition("/")[2] for entry in found if entry["type"] == "file")
        return sorted(name for name in names if not name.startswith("."))

    def read(self, name: str) -> bytes:
        """The bytes of a file."""
        files, root = self._opened
        content: bytes = files.cat_file(f"{root}/{name}")
        return content

    def open(self, name: str) -> Any:
        """A file, to be read in parts."""
        files, root = self._opened
        return files.open(f"{root}/{name}", "rb")

    def write(self, name: str, content: bytes) -> None:
        """Writes a file. It has its name when all of it is written; one that was there before is replaced then.

        Raises:
            OSError: It cannot be written.
            CamgraphError: It cannot be written, and the store says so in its own way.

        """
        try:
            self._write(name, content)
        except OSError:
            raise
        except Exception as error:  # each file system of fsspec has errors of its own
            raise CamgraphError(without_credentials(f"{self.url}/{name} cannot be written: {error}.")) from error

    def _write(self, name: str, content: bytes) -> None:
        files, root = self._opened
        files.makedirs(self._unfinished, exist_ok=True)
        part = f"{self._unfinished}/{uuid.uuid4().hex}"
        try:
            files.pipe_file(part, content)
            files.mv(part, f"{root}/{name}")
        finally:
            if files.exists(part):
                files.rm_file(part)

    def remove_unfinished(self) -> None:
        """Removes what processes left behind, such as one that was ended while it wrote."""
        files, _ = self._opened
        if files.isdir(self._unfinished):
            files.rm(self._unfinished, recursive=True)

    @property
    def _unfinished(self) -> str:
        return f"{self._opened[1]}/.unfinished"

    @property
    def _opened(self) -> tuple[Any, str]:
        files, root = opened(self.url)  # which fsspec keeps for each thread: not every store takes calls of several
        return files, root.rstrip("/")
