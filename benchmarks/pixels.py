"""What an overlay costs: as it is drawn, against its plain definition over whole arrays.

Time is CPU time on one thread, in pairs: both run once, one directly after the other, on the same photo and heatmap.
Memory is what one overlay adds to the largest resident size of a fresh process, per pixel of the photo; the photo and
the heatmap are not counted, the overlay is. It is read from /proc, on Linux.

    python benchmarks/pixels.py --pairs 20
"""

from __future__ import annotations

import multiprocessing
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

import click
import cv2
import numpy as np
from numpy.typing import NDArray
from paired import ROOT, environment, run_pairs

from camgraph_runtime.overlay import overlay

# The plain definition is the tests' own.
sys.path.insert(0, str(ROOT / "tests"))
from support.plain_overlay import plain_overlay

_SIZES = {0.3: (480, 640), 1.3: (1024, 1280), 12.8: (3200, 4000)}
_WEIGHTS = (0.5, 0.3)
_KIB = 1024

Pixels = NDArray[np.uint8]
Heatmap = NDArray[np.float32]
_FORMS: dict[str, Callable[[Pixels, Heatmap, float], Pixels]] = {
    "plain": lambda photo, heatmap, weight: plain_overlay(photo, heatmap, "jet", weight),
    "tables": lambda photo, heatmap, weight: overlay(photo, heatmap, image_weight=weight),
}


@click.command(help=__doc__.partition("\n")[0])
@click.option("--pairs", type=click.IntRange(1), default=20, show_default=True, help="Pairs for each figure.")
def main(pairs: int) -> None:
    """Prints one line of a Markdown table for each size and weight of the photo."""
    cv2.setNumThreads(1)
    click.echo(f"{environment(1)}, OpenCV {cv2.__version__}, {pairs} pairs\n")
    click.echo(
        "| megapixels | weight | plain, ms | tables, ms | ratio (min-max) | plain, B per pixel | tables, B per pixel |"
    )
    click.echo("|---:|---:|---:|---:|---:|---:|---:|")
    for megapixels, (height, width) in _SIZES.items():
        photo, heatmap = _inputs(height, width)
        for weight in _WEIGHTS:
            plain, tables = (_drawing(name, photo, heatmap, weight) for name in _FORMS)
            plain_ms, tables_ms, ratio = run_pairs(plain, tables, pairs, clock=time.process_time).summary()
            memory = " | ".join(f"{_bytes_per_pixel(name, height, width, weight):.1f}" for name in _FORMS)
            click.echo(f"| {megapixels} | {weight} | {plain_ms:.1f} | {tables_ms:.1f} | {ratio} | {memory} |")


def _drawing(name: str, photo: Pixels, heatmap: Heatmap, weight: float) -> Callable[[], Pixels]:
    return lambda: _FORMS[name](photo, heatmap, weight)


def _inputs(height: int, width: int) -> tuple[Pixels, Heatmap]:
    """A photo of large and small blotches, and the map of 7 x 7 cells that is usual at the last layer."""
    rng = np.random.default_rng(0)
    photo = cv2.resize(rng.integers(0, 256, (60, 80, 3), np.uint8), (width, height))
    heatmap = cv2.resize(rng.random((7, 7), np.float32), (width, height))
    heatmap -= heatmap.min()
    heatmap /= heatmap.max()
    return np.asarray(photo, np.uint8), np.asarray(heatmap, np.float32)


def _bytes_per_pixel(name: str, height: int, width: int, weight: float) -> float:
    """What one overlay adds to the largest resident size of a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_growth, (name, height, width, weight)) / (height * width)


def _growth(name: str, height: int, width: int, weight: float) -> int:
    photo, heatmap = _inputs(height, width)
    _FORMS[name](photo[:8], heatmap[:8], weight)  # what is loaded and kept once
    before = _resident("VmRSS")
    _FORMS[name](photo, heatmap, weight)
    return _resident("VmHWM") - before


def _resident(field: str) -> int:
    """A size of this process in bytes; ru_maxrss would be the parent's, which a child inherits."""
    return int(re.findall(rf"{field}:\s*(\d+) kB", Path("/proc/self/status").read_text(encoding="utf-8"))[0]) * _KIB


if __name__ == "__main__":
    main()
