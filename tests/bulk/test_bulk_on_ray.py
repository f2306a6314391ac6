"""A run on two processes of Ray that is killed, and goes on: every photo once, with the maps of one process."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from camgraph_runtime import Explainer, Threads
from support.on_ray import BULK, started, wait_for
from support.peers import Peer
from support.serving import png

PATIENCE = 120.0


@pytest.mark.timeout(300)
def test_a_run_that_is_killed_goes_on_where_it_ended(peer: Callable[[str], Peer], tmp_path: Path, model: Path) -> None:
    ray, photos, results = peer("ray"), tmp_path / "photos", tmp_path / "results"
    photos.mkdir()
    for number in range(160):
        (photos / f"{number:03}.png").write_bytes(png(seed=number % 7))
    (photos / "broken.png").write_bytes(b"not a picture")
    arguments = [*BULK, str(photos), "--graph", str(model), "-o", str(results), "--workers", "2", "--images-per-file"]

    with started(ray, *arguments, "8") as first:
        wait_for(lambda: len(list(results.glob("part-*.parquet"))) >= 3, PATIENCE)
        first.send_signal(signal.SIGKILL)
        first.wait(PATIENCE)
    before = {path: path.stat().st_mtime_ns for path in results.glob("part-*.parquet")}
    assert len(before) < 21, "it was done before it was killed"

    with started(ray, *arguments, "8") as second:
        said, errors = second.communicate(timeout=PATIENCE)
    assert second.returncode == 0, errors
    assert "161 images are done" in said
    assert "1 have an error" in said
    assert "were done by an earlier run" in errors
    assert {path: path.stat().st_mtime_ns for path in before} == before, "what was done is done again"

    rows = [row for path in results.glob("part-*.parquet") for row in pq.read_table(path).to_pylist()]
    assert Counter(row["image"] for row in rows) == dict.fromkeys(map(str, photos.iterdir()), 1)
    explainer = Explainer(model, threads=Threads(intra_op=1))
    wanted = [np.rint(explainer.explain(png(seed=seed)).explanations[0].heatmap * np.float32(255)) for seed in range(7)]
    for row in rows:
        if row["image"].endswith("broken.png"):
            assert row["error"]
        else:
            [found] = row["explanations"]
            numbers = np.array(found["map"], np.uint8).reshape(found["map_height"], found["map_width"])
            assert np.array_equal(numbers, wanted[int(Path(row["image"]).stem) % 7])
    assert not list(results.rglob(".unfinished"))
