"""The pictures that `camgraph explain` writes of each image, and how they are called."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from camgraph_client.cli.maps import MapKind, write_map
from camgraph_core.laid import nearest
from camgraph_core.result import Result
from camgraph_runtime.preprocess.georeference import Georeference

_LONGEST_SLUG = 40
_LONGEST_STEM = 80  # bytes


@dataclass(frozen=True)
class Wanted:
    """What is written of each image.

    Attributes:
        folder: Where pictures go; it is created.
        opacity: Where the colours of a panel cover the photo; None is the panel's own choice.
        shared_scale: Whether the classes of a panel share one scale.
        with_regions: Whether hot regions are printed.
        maps: How maps are written as numbers; None if they are not.

    """

    folder: Path
    opacity: str | None
    shared_scale: bool
    with_regions: bool
    maps: MapKind | None = None


def write_pictures(result: Result, name: str, title: str, wanted: Wanted) -> list[Path]:
    """Writes one overlay for each target (with Guided Grad-CAM a second picture), and one side-by-side panel.

    Args:
        result: What to draw.
        name: Start of the file names.
        title: What the panel calls the photo.
        wanted: Where to, and how.

    Returns:
        The files, the panel last; none of an embedding that nothing was asked of.

    """
    folder = wanted.folder
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for explanation, stem in zip(result.explanations, _stems(result, name), strict=True):
        files.append(folder / f"{stem}.png")
        explanation.save(files[-1])
        if hasattr(explanation, "guided"):
            files.append(folder / f"{stem}.guided.png")
            files[-1].write_bytes(explanation.png(explanation.guided_picture()))
    if result.embedding is not None and not result.explanations:
        return []
    files.append(folder / f"{name}.panel.png")
    result.save_panel(files[-1], name=title, opacity=wanted.opacity or "heat", shared_scale=wanted.shared_scale)
    return files


def write_maps(result: Result, name: str, wanted: Wanted, place: Georeference | None = None) -> list[Path]:
    """Writes the heatmap of each target as numbers, if that is wanted; the files, one for each target."""
    if wanted.maps is None:
        return []
    wanted.folder.mkdir(parents=True, exist_ok=True)
    canvas = result.canvas
    size = canvas.size(canvas.style.max_side)
    place = None if place is None else place.scaled(canvas.frame.photo_size, size)
    missing = None if canvas.missing is None else nearest(canvas.missing, size)
    return [
        write_map(explanation.heatmap_within(max(size)), wanted.folder / stem, wanted.maps, place, missing)
        for explanation, stem in zip(result.explanations, _stems(result, name), strict=True)
    ]


def write_world_files(result: Result, files: Sequence[Path], place: Georeference | None) -> list[Path]:
    """Writes a world file beside each picture that lies as the image does: all but panels; these files."""
    if place is None:
        return []
    canvas = result.canvas
    text = place.scaled(canvas.frame.photo_size, canvas.size(canvas.style.max_side)).world_file()
    written = [
        path.with_suffix(".pgw") for path in files if path.suffix == ".png" and path.suffixes[-2:-1] != [".panel"]
    ]
    for path in written:
        path.write_text(text, encoding="ascii")
    return written


def _stems(result: Result, name: str) -> list[str]:
    return [f"{name}.{number}-{slug(item.title)}" for number, item in enumerate(result.explanations, start=1)]


def unique_names(paths: Sequence[Path]) -> list[str]:
    """A name for each image: its file name without suffix, with a number where several have the same.

    It is cut after 80 bytes, as labels come after it and file systems allow 255.
    """
    stems = [os.fsencode(path.stem)[:_LONGEST_STEM].decode(errors="ignore") or "image" for path in paths]
    alike = Counter(stems)
    taken = {stem for stem in stems if alike[stem] == 1}
    names: list[str] = []
    for stem in stems:
        name, number = stem, 0
        while alike[stem] > 1 and (number == 0 or name in taken):
            number += 1
            name = f"{stem}_{number}"
        taken.add(name)
        names.append(name)
    return names


def slug(text: str) -> str:
    """The text as part of a file name: letters, digits, `-` and `_`, at most 40 characters."""
    return re.sub(r"[^\w-]+", "_", text).strip("_")[:_LONGEST_SLUG] or "class"
