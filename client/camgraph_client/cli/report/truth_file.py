"""A CSV file that says what is true of images: a name, and what belongs to it."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from camgraph_client.cli.photos import Photo
from camgraph_core.errors import InvalidInputError, UsageError

Cells: TypeAlias = tuple[str, ...]
"""The cells of a line after the name."""


def read_truths(photos: Sequence[Photo], file: Path, what: str) -> tuple[Cells | None, list[Cells | None]]:
    """The heading of a file, if its first line begins with ``name``, and the line of each image, if it has one.

    A name is the path of an image, as the command line or the file's own folder leads to it, or its file name alone.

    Args:
        photos: The images.
        file: The file.
        what: What stands after the name, "label" or "number", for messages.

    Raises:
        UsageError: A name is that of several images, or the file names no image.
        InvalidInputError: The file cannot be read.

    """
    heading, lines = _read(file, what)
    by_name = Counter(photo.path.name for photo in photos)
    beside = {(file.parent / name).absolute(): cells for name, cells in lines.items()}
    found = []
    for photo in photos:
        name = photo.path.name
        cells = lines.get(str(photo.path), beside.get(photo.path.absolute()))
        if cells is None and name in lines:
            if by_name[name] > 1:
                raise UsageError(f"{file} names {name}, which is the file name of {by_name[name]} images; give paths.")
            cells = lines[name]
        found.append(cells)
    if not any(found):
        raise UsageError(f"{file} names none of the images; its first column has their paths or file names.")
    return heading, found


def _read(file: Path, what: str) -> tuple[Cells | None, Mapping[str, Cells]]:
    try:
        with file.open(encoding="utf-8-sig", newline="") as opened:
            lines = [line for line in csv.reader(opened, strict=True) if line]
    except OSError as error:
        raise InvalidInputError(f"{file} cannot be read: {error.strerror}.") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise InvalidInputError(f"{file} is not a CSV file: {error}.") from error
    heading: Cells | None = None
    truths: dict[str, Cells] = {}
    for number, line in enumerate(lines):
        name, *cells = (cell.strip() for cell in line)
        if not cells or not all((name, *cells)) or len(line) != len(lines[0]):
            raise InvalidInputError(
                f"{file} has a line that is not name,{what}, with as many cells as the first: {','.join(line)[:80]!r}."
            )
        if number == 0 and name == "name":
            heading = tuple(cells)
        elif truths.setdefault(name, tuple(cells)) != tuple(cells):
            raise InvalidInputError(f"{file} has two {what}s for {name}.")
    return heading, truths
