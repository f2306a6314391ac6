"""Which files are models, and under which names and versions Triton gets them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from camgraph_core.errors import UsageError
from camgraph_triton.signature import GRAPH
from camgraph_wire.open_inference.models import TENSORS


@dataclass(frozen=True, order=True)
class Source:
    """One version of one model.

    Attributes:
        name: Its name.
        version: Its version.
        path: The graph's file.
    """

    name: str
    version: int
    path: Path


def sources_of(paths: Iterable[Path], problems: list[str]) -> list[Source]:
    """The models that are named, sorted; what cannot be one is added to `problems`.

    Args:
        paths: Graphs, and folders laid out as those of `camgraph serve`.
        problems: Gets a sentence for each.
    """
    found: dict[tuple[str, int], Source] = {}
    for path in dict.fromkeys(file for named in paths for file in _files(named, problems)):
        try:
            source = _source(path)
        except UsageError as error:
            problems.append(str(error))
            continue
        first = found.setdefault((source.name, source.version), source)
        if first is not source:
            problems.append(f"{first.path} and {path} are both {source.name} version {source.version}; rename one.")
    return sorted(found.values())


def _files(path: Path, problems: list[str]) -> Iterator[Path]:
    if not path.is_dir():
        yield path
        return
    files = [*path.glob("*.onnx"), *path.glob(f"*/{GRAPH}"), *path.glob(f"*/*/{GRAPH}")]
    if not files:
        problems.append(f"{path} has no .onnx files; name graphs, or a folder laid out as for camgraph serve.")
    yield from sorted(file for file in files if not _is_hidden(file.relative_to(path)))


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _source(path: Path) -> Source:
    folder = path.absolute().parent
    if path.name != GRAPH:
        name, version = path.stem, "1"
    elif folder.name.isascii() and folder.name.isdecimal():
        name, version = folder.parent.name, folder.name
    else:
        name, version = folder.name, "1"
    if not name or name.endswith(TENSORS):
        raise UsageError(f"{path} would be the model {name!r}; give it a name that does not end in {TENSORS}.")
    if str(int(version)) != version or version == "0":
        raise UsageError(f"{path} would have the version {version!r}; Triton counts versions from 1, without zeros.")
    return Source(name, int(version), path)
