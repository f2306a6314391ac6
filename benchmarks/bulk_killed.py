"""A bulk run on two processes of Ray that is killed in the middle and started again: is each photo there once, as is?

    .venv/bin/python benchmarks/bulk_killed.py GRAPH PHOTO... [--count 10000] [--folder FOLDER]

Needs `make peers`. The photos are repeated, as links with names of their own. It prints what both runs took, and holds
each row to what one process gives.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from camgraph_runtime import Explainer, Threads
from support.on_ray import BULK, started
from support.peers import installed

PARTS_BEFORE_THE_KILL = 15


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("graph", type=Path)
    parser.add_argument("photos", type=Path, nargs="+")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--folder", type=Path, help="Where photos and results go; default: a temporary folder.")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        photos, results = folder / "photos", folder / "results"
        _repeat(given.photos, given.count, photos)
        _killed(given.graph, photos, results)
        _gone_on_with(given.graph, photos, results)
        return _check(given.graph, given.photos, given.count, results)


def _repeat(originals: list[Path], count: int, folder: Path) -> None:
    folder.mkdir(parents=True)
    for number in range(count):
        original = originals[number % len(originals)].resolve()
        (folder / f"{number:06}{original.suffix}").symlink_to(original)


def _arguments(graph: Path, photos: Path, results: Path) -> list[str]:
    return [*BULK, str(photos), "--graph", str(graph), "-o", str(results), "--workers", "2"]


def _killed(graph: Path, photos: Path, results: Path) -> None:
    began = time.monotonic()
    with started(installed("ray"), *_arguments(graph, photos, results)) as run:
        while len(list(results.glob("part-*.parquet"))) < PARTS_BEFORE_THE_KILL:
            if run.poll() is not None:
                raise SystemExit(f"It ended by itself: {run.communicate()[1]}")
            time.sleep(0.05)
        os.kill(run.pid, signal.SIGKILL)
        run.wait()
    done = len(list(results.glob("part-*.parquet")))
    print(f"killed after {time.monotonic() - began:.0f} s, {done} files are done", flush=True)


def _gone_on_with(graph: Path, photos: Path, results: Path) -> None:
    with started(installed("ray"), *_arguments(graph, photos, results)) as run:
        said, errors = run.communicate()
        print((errors if run.returncode else said).strip(), flush=True)


def _check(graph: Path, originals: list[Path], count: int, results: Path) -> int:
    """0 if each photo has one row, whose map is that of one process."""
    explainer = Explainer(graph, threads=Threads(intra_op=1))
    wanted = [explainer.explain(path).explanations[0].heatmap_within(224) for path in originals]
    numbers = [np.rint(heatmap * np.float32(255)) for heatmap in wanted]
    rows: Counter[int] = Counter()
    equal = size = 0
    for path in sorted(results.glob("part-*.parquet")):
        size += path.stat().st_size
        for row in pq.read_table(path).to_pylist():
            number = int(Path(row["image"]).stem)
            rows[number] += 1
            [found] = row["explanations"]
            map_found = np.array(found["map"]).reshape(found["map_height"], found["map_width"])
            equal += np.array_equal(map_found, numbers[number % len(originals)])
    once = rows == dict.fromkeys(range(count), 1)
    print(f"{rows.total()} rows, each photo once: {once}; {equal} maps are those of one process; {size / 1e6:.0f} MB")
    return 0 if once and equal == count else 1


if __name__ == "__main__":
    sys.exit(main())
