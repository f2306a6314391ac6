"""What `camgraph explain` prints."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from camgraph_core.explanation import Explanation
from camgraph_core.result import ClassScore, Result


def print_report(
    console: Console, title: str, result: Result, files: Iterable[Path], *, with_regions: bool = False
) -> None:
    """Prints the best classes, or what an embedding was held against, then hot regions if they are wanted.

    Warnings and files come last.
    """
    console.print(title, style="bold", markup=False, highlight=False, soft_wrap=True)
    if result.predictions:
        console.print(_table(result.predictions))
    elif result.embedding is not None and result.explanations:
        console.print(_table([explanation.target for explanation in result.explanations], ranked=False))
    for explanation in result.explanations if with_regions else ():
        console.print(_regions_table(explanation))
    for warning in result.warnings:
        console.print(f"  note: {warning}", markup=False, highlight=False, soft_wrap=True)
    for path in files:
        console.print(f"  wrote {path}", markup=False, highlight=False, soft_wrap=True)


def _table(predictions: Sequence[ClassScore], *, ranked: bool = True) -> Table:
    columns = [column for column in _COLUMNS if any(column.text(item) for item in predictions)]
    table = Table()
    ranked = ranked and all(item.value is None for item in predictions)  # numbers of a regression have no order
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
    _Column("class", lambda item: str(item.class_index) if item.value is None and item.class_index >= 0 else ""),
    _Column("number", lambda item: str(item.class_index) if item.value is not None and item.class_index >= 0 else ""),
    _Column("label", lambda item: escape(item.label)),
    _Column("value", lambda item: "" if item.value is None else _number(item.value, 3)),
    _Column("area", lambda item: "" if item.area is None else f"{item.area:.4f}"),
    _Column("probability", lambda item: _number(item.probability, 4)),
    _Column("score", lambda item: _number(item.score, 3)),
)


def _number(value: float, digits: int) -> str:
    return "" if math.isnan(value) else f"{value:.{digits}f}"
