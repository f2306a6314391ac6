"""What `camgraph explain` shows and writes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from camgraph_client.cli.sources import Explained
from camgraph_runtime import ClassScore
from camgraph_runtime.overlay import encode_png
from camgraph_runtime.panel import Tile, panel

_LONGEST_SLUG = 40


def write_pictures(explained: Explained, name: str, folder: Path, title: str, colormap: str) -> list[Path]:
    """Writes one overlay for each target and one side-by-side panel.

    Args:
        explained: what to draw.
        name: start of the file names.
        folder: where to; it is created.
        title: what the panel calls the photo.
        colormap: colours of the panel's bar.

    Returns:
        The files, the panel last.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pictures = {
        folder / f"{name}.{number}-{slug(overlay.title)}.png": overlay.png
        for number, overlay in enumerate(explained.overlays, start=1)
    }
    pictures[folder / f"{name}.panel.png"] = encode_png(panel(_tiles(explained, title), colormap=colormap))
    for path, data in pictures.items():
        path.write_bytes(data)
    return list(pictures)


def print_report(console: Console, title: str, explained: Explained, files: Iterable[Path]) -> None:
    """Prints the best classes as a table, then warnings and files."""
    console.print(title, style="bold", markup=False, highlight=False, soft_wrap=True)
    console.print(_table(explained.predictions))
    for warning in explained.warnings:
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


def _tiles(explained: Explained, title: str) -> list[Tile]:
    height, width = explained.photo.shape[:2]
    tiles = [Tile(overlay.picture, overlay.title, overlay.note) for overlay in explained.overlays]
    return [Tile(explained.photo, title, f"{width} x {height}"), *tiles]


def _table(predictions: Iterable[ClassScore]) -> Table:
    table = Table()
    table.add_column("rank", justify="right")
    table.add_column("class", justify="right")
    table.add_column("label", overflow="fold")
    table.add_column("probability", justify="right")
    table.add_column("score", justify="right")
    for rank, item in enumerate(predictions, start=1):
        table.add_row(
            str(rank),
            str(item.class_index),
            escape(item.label),
            f"{item.probability:.4f}",
            f"{item.score:.3f}",
        )
    return table
