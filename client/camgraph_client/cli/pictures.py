"""The pictures that `camgraph explain` writes of each image, and how they are called."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from camgraph_core.result import Result

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
