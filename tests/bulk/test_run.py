"""What a run says before there is a cluster, and with nothing left to do."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path

import fsspec
import pyarrow.parquet as pq
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from camgraph_client.bulk.graph import Graph
from camgraph_client.bulk.on_ray import Done
from camgraph_client.bulk.results import Part, Results
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


@pytest.mark.parametrize(("rounds", "tried"), [([[0, 2], [3], [1]], 3), ([[0], [], [1, 2, 3]], 2)])
def test_parts_that_are_left_are_tried_again_while_others_are_done(
    rounds: list[list[int]],
    tried: int,
    model: Path,
    photos: Path,
    tmp_path: Path,
    work: Work,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A Ray of this test does some of the parts in each round, as where the machine of the others is lost."""
    given: list[int] = []
    worker = Worker(work, Graph.read(str(model)).content)

    def explained(parts: Sequence[Part], *_: object) -> Iterator[Done]:
        done = rounds[len(given)]
        given.append(len(parts))
        for part in (part for part in parts if part.group in done):
            yield Done(part.file, part.count, worker.do(part), "")

    monkeypatch.setattr("camgraph_client.bulk.run.connected", lambda _: nullcontext())
    monkeypatch.setattr("camgraph_client.bulk.run.explained", explained)
    (photos / "broken.jpg").unlink()
    result = camgraph("bulk", str(photos), "--graph", str(model), "-o", work.results, "--images-per-file", "1")
    assert len(given) == tried
    assert result.exit_code == (0 if tried == 3 else 1), result.stderr
    assert ("3 images are not done" in result.stderr) == (tried == 2)


def test_the_memory_of_a_process_is_no_shared_store(model: Path, photos: Path) -> None:
    result = camgraph("bulk", str(photos), "--graph", str(model), "-o", "memory://out")
    assert result.exit_code == 2
    assert "memory://out lies in the memory of one process" in result.stderr


def test_a_store_that_cannot_be_written_is_said(model: Path, photos: Path) -> None:
    class ReadOnly(MemoryFileSystem):
        protocol = "readonly"

        def pipe_file(self, *_: object, **__: object) -> None:
            raise RuntimeError("501, Unsupported method")

    fsspec.register_implementation("readonly", ReadOnly, clobber=True)
    result = camgraph("bulk", str(photos), "--graph", str(model), "-o", "readonly://me:secret@store/out")
    assert result.exit_code == 1
    assert "cannot be written: 501, Unsupported method." in result.stderr
    assert "secret" not in result.stderr
