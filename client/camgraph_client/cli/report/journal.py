"""The state of a run that is not finished, so that the next one goes on where it ended.

It is a file of JSON lines in the folder of the pictures: what was asked, then one line for each image that is done. It
has the pictures of a report's page, so that they take no memory. A finished run removes it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

from camgraph_client.cli.photos import Photo
from camgraph_client.cli.report.rows import Row

Pictures: TypeAlias = list[dict[str, str]]
"""Of one image, each with ``title``, ``note`` and ``jpeg`` (base64)."""

NAME = ".camgraph-unfinished.jsonl"


class Journal:
    """The state of a run.

    Args:
        folder: The folder of the pictures.
        asked: What the run is asked, in plain values; what an earlier run did for something else is done again.

    """

    def __init__(self, folder: Path, asked: dict[str, Any]) -> None:
        self._path = folder / NAME
        self._run = hashlib.sha256(json.dumps(asked, sort_keys=True, default=str).encode()).hexdigest()
        self._rows: dict[str, tuple[Row, int]] = {}
        self._end = self._read()

    def row(self, photo: Photo) -> Row | None:
        """The row of an image that is done: neither it has changed since, nor has a file that was written gone."""
        found = self._rows.get(_key(photo))
        if found is None or found[0]["error"] is not None or not all(map(_exists, found[0]["files"])):
            return None
        return found[0]

    def rows(self, photos: Sequence[Photo]) -> list[tuple[Photo, Row]]:
        """The images that were done or failed, with their rows."""
        return [(photo, self._rows[_key(photo)][0]) for photo in photos if _key(photo) in self._rows]

    def add(self, photo: Photo, row: Row, pictures: Pictures) -> None:
        """An image is done."""
        key = _key(photo)
        if self._end == 0:
            self._write({"run": self._run})
        self._rows[key] = row, self._end
        self._write({"key": key, "row": row, "pictures": pictures})

    def pictures(self, photo: Photo) -> Pictures:
        """The pictures of an image that is done."""
        with self._path.open("rb") as file:
            file.seek(self._rows[_key(photo)][1])
            pictures: Pictures = json.loads(file.readline())["pictures"]
        return pictures

    def remove(self) -> None:
        """The run is finished."""
        self._path.unlink(missing_ok=True)

    def _read(self) -> int:
        """Reads what an earlier run did; where its last whole line ends, 0 if nothing of it is of use."""
        if not self._path.is_file():
            return 0
        end = 0
        with self._path.open("rb") as file:
            for line in file:
                entry = _entry(line)
                if entry is None or (end == 0 and entry.get("run") != self._run):
                    break
                if end:
                    self._rows[entry["key"]] = entry["row"], end
                end += len(line)
        return end

    def _write(self, entry: dict[str, Any]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        line = json.dumps(entry, allow_nan=False).encode() + b"\n"
        with self._path.open("r+b" if self._end else "wb") as file:
            file.truncate(self._end)
            file.seek(self._end)
            file.write(line)
        self._end += len(line)


def _entry(line: bytes) -> Row | None:
    """The values of a line; None of one that was cut off."""
    if not line.endswith(b"\n"):
        return None
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None


def _key(photo: Photo) -> str:
    return json.dumps([str(photo.path), photo.name, photo.truth, photo.numbers, stamp(photo.path)])


def stamp(path: Path) -> list[int]:
    """What changes when a file is written: its size and time; empty if there is none."""
    try:
        state = path.stat()
    except OSError:
        return []
    return [state.st_size, state.st_mtime_ns]


def _exists(path: str) -> bool:
    return Path(path).exists()
