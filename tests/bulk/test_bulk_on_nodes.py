"""A run on a Ray of several machines, of which one is lost in the middle: every photo once, and none is missing."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from support.on_ray import BULK, nodes, started, wait_for
from support.peers import Peer
from support.serving import png

PATIENCE = 180.0


@pytest.mark.timeout(400)
def test_a_run_goes_on_when_a_node_is_lost(peer: Callable[[str], Peer], tmp_path: Path, model: Path) -> None:
    ray, photos, results = peer("ray"), tmp_path / "photos", tmp_path / "results"
    photos.mkdir()
    for number in range(320):
        (photos / f"{number:03}.png").write_bytes(png(300, 200, seed=number % 7))
    with nodes(ray, 2) as (cluster, kill):
        options = ["--workers", "2", "--images-per-file", "4", "--ray", cluster]
        with started(ray, *BULK, str(photos), "--graph", str(model), "-o", str(results), *options) as run:
            wait_for(lambda: len(list(results.glob("part-*.parquet"))) >= 5, PATIENCE)
            kill(1)
            assert len(list(results.glob("part-*.parquet"))) < 80, "it was done before the node was lost"
            said, errors = run.communicate(timeout=PATIENCE)
    assert not list(Path(os.environ["RAY_TMPDIR"]).rglob("ray_current_cluster")), "a later Ray would look for this one"
    assert run.returncode == 0, errors
    assert "320 images are done" in said
    assert "; 0 have an error" in said
    rows = [row for path in results.glob("part-*.parquet") for row in pq.read_table(path).to_pylist()]
    assert Counter(row["image"] for row in rows) == dict.fromkeys(map(str, photos.iterdir()), 1)
    assert all(row["explanations"] for row in rows)
    assert not list(results.rglob(".unfinished"))
