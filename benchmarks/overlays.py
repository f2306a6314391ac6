"""What an overlay costs, from the network's heatmap to bytes: as it is drawn, against its plain definition.

The plain definition lays the map onto the photo and mixes in float32, over whole arrays. "Tiles" gives the same bytes;
"small" is what is drawn with a longest side of 1024 pixels. Time is CPU time on one thread, in pairs: both run once,
one directly after the other, on the same photo and map. Memory is what one overlay adds to the largest resident size of
a fresh process, per pixel of the photo; the photo is not counted, the overlay is. It is read from /proc, on Linux.

    python benchmarks/overlays.py --pairs 20
"""

from __future__ import annotations

import multiprocessing
import re
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray
from paired import ROOT, environment, run_pairs
from PIL import Image

from camgraph_core.frame import Axis, fitted, of_shrunk_photo
from camgraph_core.laid import LaidMap
from camgraph_runtime.maps.resize import resize_map
from camgraph_runtime.pictures.overlay import overlay
from camgraph_runtime.pictures.shrink import shrunk
from camgraph_runtime.preprocess import Frame

# The plain definition is the tests' own.
sys.path.insert(0, str(ROOT / "tests"))
from support.plain_overlay import plain_laid, plain_overlay

_SIZES = {0.3: (480, 640), 1.3: (1024, 1280), 12.8: (3200, 4000)}
_WEIGHTS = (0.5, 0.3)
_NETWORK = 224
_SMALL = 1024
_KIB = 1024

Pixels = NDArray[np.uint8]
Cells = NDArray[np.float32]


def _plain(photo: Pixels, cells: Cells, frame: Frame, weight: float) -> Pixels:
    drawn: Pixels = plain_overlay(photo, plain_laid(cells, frame), "jet", weight)
    return drawn


def _tiles(photo: Pixels, cells: Cells, frame: Frame, weight: float) -> Pixels:
    return overlay(photo, LaidMap(cells, frame), image_weight=weight)


def _small(photo: Pixels, cells: Cells, frame: Frame, weight: float) -> Pixels:
    size = fitted(frame.photo_size, _SMALL)
    return _tiles(shrunk(photo, size), cells, of_shrunk_photo(frame, size), weight)


_FORMS = {"plain": _plain, "tiles": _tiles, "small": _small}


@click.command(help=__doc__.partition("\n")[0])
@click.option("--pairs", type=click.IntRange(1), default=20, show_default=True, help="Pairs for each figure.")
def main(pairs: int) -> None:
    """Prints one line of a Markdown table for each size and weight of the photo."""
    click.echo(f"{environment(1)}, {pairs} pairs\n")
    click.echo(
        "| megapixels | weight | plain, ms | tiles, ms | ratio (min-max) | small, ms | ratio (min-max) | B per pixel |"
    )
    click.echo("|---:|---:|---:|---:|---:|---:|---:|---|")
    for megapixels, (height, width) in _SIZES.items():
        for weight in _WEIGHTS:
            forms = {name: partial(form, *_inputs(height, width), weight) for name, form in _FORMS.items()}
            plain_ms, *tiles = run_pairs(forms["plain"], forms["tiles"], pairs, time.process_time).summary()
            _, *small = run_pairs(forms["plain"], forms["small"], pairs, time.process_time).summary()
            times = f"{plain_ms:.1f} | {tiles[0]:.1f} | {tiles[1]} | {small[0]:.1f} | {small[1]}"
            memory = ", ".join(f"{name} {_bytes_per_pixel(name, height, width, weight):.1f}" for name in _FORMS)
            click.echo(f"| {megapixels} | {weight} | {times} | {memory} |")


def _inputs(height: int, width: int) -> tuple[Pixels, Cells, Frame]:
    """A photo of large and small blotches, and the network's heatmap of 7 x 7 cells, as is usual at the last layer."""
    rng = np.random.default_rng(0)
    photo = np.asarray(Image.fromarray(rng.integers(0, 256, (60, 80, 3), np.uint8)).resize((width, height)))
    cells = resize_map(rng.random((7, 7), np.float32), (_NETWORK, _NETWORK))
    cells -= cells.min()
    cells /= cells.max()
    frame = Frame(Axis(height, height).resized(_NETWORK), Axis(width, width).resized(_NETWORK))
    return np.asarray(photo, np.uint8), np.asarray(cells, np.float32), frame


def _bytes_per_pixel(name: str, height: int, width: int, weight: float) -> float:
    """What one overlay adds to the largest resident size of a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_growth, (name, height, width, weight)) / (height * width)


def _growth(name: str, height: int, width: int, weight: float) -> int:
    draw: Callable[..., Pixels] = _FORMS[name]
    draw(*_inputs(64, 64), weight)  # what is loaded and kept once
    inputs = _inputs(height, width)
    before = _resident("VmRSS")
    draw(*inputs, weight)
    return _resident("VmHWM") - before


def _resident(field: str) -> int:
    """A size of this process in bytes; ru_maxrss would be the parent's, which a child inherits."""
    return int(re.findall(rf"{field}:\s*(\d+) kB", Path("/proc/self/status").read_text(encoding="utf-8"))[0]) * _KIB


if __name__ == "__main__":
    main()
