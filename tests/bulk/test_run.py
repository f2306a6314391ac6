"""What a run says before there is a cluster, and with nothing left to do."""

from __future__ import annotations

import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from camgraph_client.bulk.graph import Graph
from camgraph_client.bulk.results import Results
from camgraph_client.bulk.work import Work, Worker
from support.exporting import camgraph


def test_without_ray_it_says_what_to_install(
    model: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    result = camgraph("bulk", str(photos), "--graph", str(model), "-o", str(tmp_path / "out"))
    assert result.exit_code == 2
    assert "install camgraph[bulk]" in result.stderr


def test_what_is_done_is_not_done_again_and_other_settings_are_refused(
    model: Path, photos: Path, tmp_path: Path, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)  # nothing may ask for it
    arguments = ["bulk", str(photos), "--graph", str(model), "-o", work.results]
    assert camgraph(*arguments).exit_code == 2
    for part in Results(work.results).parts():
        Worker(work, Graph.read(str(model)).content).do(part)
    result = camgraph(*arguments)
    assert result.exit_code == 0, result.stderr
    assert result.stdout == f"5 images are done; 1 have an error: {work.results}\n"
    assert camgraph(*arguments, "--retry-failed").exit_code == 2
    other = camgraph(*arguments, "--map", "none")
    assert other.exit_code == 2
    assert "another map (heatmap, now none)" in other.stderr
    assert pq.read_table(work.results).num_rows == 5


def test_a_target_that_the_model_does_not_have_is_said_before_anything_is_written(
    model: Path, photos: Path, tmp_path: Path
) -> None:
    result = camgraph("bulk", str(photos), "--graph", str(model), "-o", str(tmp_path / "out"), "--target", "unicorn")
    assert result.exit_code == 2
    assert not (tmp_path / "out").exists()
