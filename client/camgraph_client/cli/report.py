"""What `camgraph explain` shows and writes."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from camgraph_core.explanation import Explanation
from camgraph_core.result import ClassScore, Result

_LONGEST_SLUG = 40


@dataclass(frozen=True)
class Wanted:
    """What is written of each image.

    Attributes:
        folder: Where pictures go; it is created.
        opacity: Where the colours of a panel cover the photo; None is the panel's own choice.
        shared_scale: Whether the classes of a panel share one scale.
        with_regions: Whether hot regions are printed.

    """

    folder: Path
    opacity: str | None
    shared_scale: bool
    with_regions: bool


def write_pictures(result: Result, name: str, title: str, wanted: Wanted) -> list[Path]:
    """Writes one overlay for each target (with Guided Grad-CAM a second picture), and one side-by-side panel.

    Args:
        result: What to draw.
        name: Start of the file names.
        title: What the panel calls the photo.
        wanted: Where to, and how.

    Returns:
        The files, the panel last.

    """
    folder = wanted.folder
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for number, explanation in enumerate(result.explanations, start=1):
        stem = f"{name}.{number}-{slug(explanation.title)}"
        files.append(folder / f"{stem}.png")
        explanation.save(files[-1])
        if hasattr(explanation, "guided"):
            files.append(folder / f"{stem}.guided.png")
            files[-1].write_bytes(explanation.png(explanation.guided_picture()))
    files.append(folder / f"{name}.panel.png")
    result.save_panel(files[-1], name=title, opacity=wanted.opacity or "heat", shared_scale=wanted.shared_scale)
    return files


def print_report(
    console: Console, title: str, result: Result, files: Iterable[Path], *, with_regions: bool = False
) -> None:
    """Prints the best classes as a table, if there are any, then hot regions if they are wanted, warnings and files."""
    console.print(title, style="bold", markup=False, highlight=False, soft_wrap=True)
    if result.predictions:
        console.print(_table(result.predictions))
    for explanation in result.explanations if with_regions else ():
        console.print(_regions_table(explanation))
    for warning in result.warnings:
        console.print(f"  note: {warning}", markup=False, highlight=False, soft_wrap=True)
    for path in files:
        console.print(f"  wrote {path}", markup=False, highlight=False, soft_wrap=True)


def unique_names(paths: Sequence[Path]) -> list[str]:
    """A name for each image: its file name without suffix, with a number where several have the same."""
    stems = [path.stem for path in paths]
    taken = Counter(stems)
    seen: Counter[str] = Counter()
    names: list[str] = []
    for stem in stems:
        name = stem
        if taken[stem] > 1:
            seen[stem] += 1
            name = f"{stem}_{seen[stem]}"
        names.append(name)
    return names


def slug(text: str) -> str:
    """The text as part of a file name: letters, digits, `-` and `_`, at most 40 characters."""
    return re.sub(r"[^\w-]+", "_", text).strip("_")[:_LONGEST_SLUG] or "class"


def _table(predictions: Sequence[ClassScore]) -> Table:
    columns = [column for column in _COLUMNS if any(column.text(item) for item in predictions)]
    table = Table()
    ranked = all(item.value is None for item in predictions)  # numbers of a regression have no order
    if ranked:
        table.add_column("rank", justify="right")
    for column in columns:
        table.add_column(column.title, justify="left" if column.title == "label" else "right", overflow="fold")
    for rank, item in enumerate(predictions, start=1):
        table.add_row(*([str(rank)] if ranked else []), *(column.text(item) for column in columns))
    return table


def _regions_table(explanation: Explanation) -> Table:
    table = Table(title=f"Hot regions: {escape(explanation.title)}", title_justify="left")
    for heading in ("region", "box (left, top - right, bottom)", "area", "mean", "peak", "share of the heat"):
        table.add_column(heading, justify="right")
    for number, region in enumerate(explanation.hot_regions, start=1):
        shares = (region.area, region.mean, region.peak, region.energy)
        table.add_row(str(number), str(region.box), *(f"{share:.4f}" for share in shares))
    return table


@dataclass(frozen=True)
class _Column:
    """A column of the table; it is left out where it is empty for every class."""

    title: str
    text: Callable[[ClassScore], str]


_COLUMNS = (
    _Column("box", lambda item: "" if item.box is None else str(item.box)),
    _Column("anchor", lambda item: "" if item.anchor is None else str(item.anchor)),
    _Column("class", lambda item: str(item.class_index) if item.value is None else ""),
    _Column("number", lambda item: str(item.class_index) if item.value is not None and item.class_index >= 0 else ""),
    _Column("label", lambda item: escape(item.label)),
    _Column("value", lambda item: "" if item.value is None else _number(item.value, 3)),
    _Column("area", lambda item: "" if item.area is None else f"{item.area:.4f}"),
    _Column("probability", lambda item: _number(item.probability, 4)),
    _Column("score", lambda item: _number(item.score, 3)),
)


def _number(value: float, digits: int) -> str:
    return "" if math.isnan(value) else f"{value:.{digits}f}"
