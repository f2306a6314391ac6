"""The images of a run of `camgraph explain`: files, folders and patterns."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from camgraph_client.cli.pictures import unique_names
from camgraph_core.errors import UsageError
from camgraph_runtime.limits import Limits
from camgraph_runtime.preprocess.arrays import read_tensor

SUFFIXES = frozenset({".bmp", ".dcm", ".gif", ".jpeg", ".jpg", ".npy", ".png", ".tif", ".tiff", ".webp"})
"""Of the files in a folder, those that are taken."""


@dataclass(frozen=True)
class Photo:
    """An image of a run.

    Attributes:
        path: Its file.
        name: Start of the names of the files that are written of it; no other image of the run has it.
        truth: Index of its true class; None if that is not known.
        numbers: Its true numbers, in the model's order; empty if they are not known.
        is_tensor: Whether the file holds a ready input tensor.

    """

    path: Path
    name: str
    truth: int | None = None
    numbers: tuple[float, ...] = ()
    is_tensor: bool = False

    def subject(self) -> dict[str, Any]:
        """What is explained, as a keyword of `Explains.explain`.

        Raises:
            InvalidInputError: The file should have a tensor, and does not.

        """
        if self.is_tensor:
            return {"tensor": read_tensor(self.path, max_pixels=Limits().max_pixels)}
        return {"image": self.path}

    @property
    def shown(self) -> str:
        """The path for people, with the replacement character for bytes that are not text."""
        return os.fsencode(self.path).decode(errors="replace")


def named(path: Path, problem: str) -> str:
    """What is said of a problem with an image, with its file."""
    return problem if str(path) in problem else f"{path}: {problem}"


def photos_of(arguments: Sequence[Path], output: Path, *, are_tensors: bool = False) -> list[Photo]:
    """The images that are named on the command line, in that order; those of a folder or a pattern by name and number.

    A folder stands for the pictures in it and in its folders, without hidden ones. A pattern such as
    ``photos/**/*.jpg`` is one that is not a file's name. Neither takes files of ``output``, which has the pictures of
    earlier runs.

    Raises:
        UsageError: A folder has no pictures, or a pattern matches none.

    """
    paths = [path for argument in arguments for path in _paths(argument, output)]
    return [Photo(path, name, is_tensor=are_tensors) for path, name in zip(paths, unique_names(paths), strict=True)]


def _paths(argument: Path, output: Path) -> list[Path]:
    if argument.is_dir():
        found = sorted(_within(argument, output), key=_by_name)
        if not found:
            raise UsageError(f"The folder {argument} has no pictures: no file ends in {', '.join(sorted(SUFFIXES))}.")
        return found
    if glob.has_magic(str(argument)) and not argument.exists():
        matches = map(Path, glob.glob(str(argument), recursive=True))  # noqa: PTH207 - Path takes no absolute ones
        left_out = output.resolve()
        files = [path for path in matches if path.is_file() and not path.resolve().is_relative_to(left_out)]
        found = sorted(files, key=_by_name)
        if not found:
            raise UsageError(f"No file matches {argument}.")
        return found
    return [argument]


def _by_name(path: Path) -> tuple[list[str | int], str]:
    """Sorts frame 2 before frame 10, as people count."""
    name = os.fspath(path)
    parts = re.split(r"(\d+)", name)  # text and digits by turns
    return [int(part) if number % 2 else part for number, part in enumerate(parts)], name


def _within(folder: Path, output: Path) -> Iterator[Path]:
    left_out = output.resolve()
    for top, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name[0] != "." and Path(top, name).resolve() != left_out]
        yield from (Path(top, name) for name in files if name[0] != "." and Path(name).suffix.lower() in SUFFIXES)
