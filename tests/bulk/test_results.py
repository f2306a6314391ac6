"""The folder of results: each image once, whatever happens."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from camgraph_client.bulk.images import SCHEMA
from camgraph_client.bulk.results import Part, Results
from camgraph_client.bulk.store import Folder
from camgraph_core.errors import UsageError

COLUMNS = pa.schema([("image", pa.string()), ("error", pa.string())])


def table(*names: str) -> pa.Table:
    return pa.table([list(names), [""] * len(names)], schema=SCHEMA)


class OneThreadFileSystem(MemoryFileSystem):
    """A store that takes calls of one thread alone, as the one of sftp does, which hangs otherwise."""

    protocol = "onethread"

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._thread = threading.get_ident()

    def _open(self, *arguments: Any, **more: Any) -> Any:
        assert threading.get_ident() == self._thread
        return super()._open(*arguments, **more)


fsspec.register_implementation("onethread", OneThreadFileSystem, clobber=True)


def planned(results: Results) -> list[str]:
    return [image for part in results.parts() for image, _ in results.images(part)]


@pytest.fixture(params=["file", "memory", "onethread"])
def url(request: Any, tmp_path: Path) -> str:
    return str(tmp_path / "results") if request.param == "file" else f"{request.param}://{tmp_path.name}"


def test_parts_are_as_large_as_asked_and_images_that_are_new_come_after(url: str) -> None:
    results = Results(url)
    results.add(table("a", "b", "c"), 2)
    assert [part.count for part in results.parts()] == [2, 1]
    results.add(table("b", "c"), 2)
    assert planned(results) == ["a", "b", "c"]
    results.add(table("e", "d", "c"), 5)
    assert planned(results) == ["a", "b", "c", "d", "e"]
    assert [part.file for part in results.parts()] == [
        "part-00000-000000.parquet",
        "part-00000-000001.parquet",
        "part-00001-000000.parquet",
    ]


def test_the_same_image_for_another_class_is_another_one(url: str) -> None:
    results = Results(url)
    results.add(table("a"), 2)
    results.add(pa.table([["a", "a"], ["", "3"]], schema=SCHEMA), 2)
    assert [pair for part in results.parts() for pair in results.images(part)] == [("a", ""), ("a", "3")]


def test_a_part_is_done_when_its_file_is_there_and_errors_are_counted_from_its_end(url: str) -> None:
    results = Results(url)
    results.add(table("a", "b", "c"), 2)
    first, second = results.parts()
    assert results.done() == set()
    results.keep(first, [{"image": "a", "error": None}, {"image": "b", "error": "broken"}], COLUMNS)
    assert results.done() == {first.file}
    results.keep(second, [{"image": "c", "error": None}], COLUMNS)
    assert results.errors(results.done()) == {first.file: 1, second.file: 0}
    results.keep(first, [{"image": "a", "error": None}, {"image": "b", "error": None}], COLUMNS)
    assert results.errors([first.file]) == {first.file: 0}


def test_a_run_goes_on_only_if_it_says_the_same(url: str) -> None:
    said = {"map": "heatmap", "model": "abc", "layer": ()}
    Results(url).settle(said)
    Results(url).settle(said)
    with pytest.raises(UsageError, match=r"another model \(abc, now def\)"):
        Results(url).settle({**said, "model": "def"})


def test_passwords_of_a_url_are_not_told(tmp_path: Path) -> None:
    url = f"memory://user:secret@store/{tmp_path.name}"
    Results(url).settle({"map": "heatmap"})
    with pytest.raises(UsageError) as refused:
        Results(url).settle({"map": "signed"})
    assert f"memory://***@store/{tmp_path.name} has results" in str(refused.value)


def test_what_is_unfinished_is_no_result_and_is_removed(url: str) -> None:
    results = Results(url)
    files, root = fsspec.url_to_fs(url)
    files.makedirs(f"{root}/.unfinished", exist_ok=True)
    files.pipe_file(f"{root}/.unfinished/0123", b"half")
    assert results.done() == set()
    results.settle({})
    assert not files.exists(f"{root}/.unfinished")


KILLED = """
import os, sys
from fsspec.implementations.local import LocalFileSystem
from camgraph_client.bulk.store import Folder

def pipe_file(self, path, value):
    with open(path, "wb") as file:
        file.write(value[:10])
        file.flush()
        os.kill(os.getpid(), 9)

LocalFileSystem.pipe_file = pipe_file
Folder(sys.argv[1]).write("part-00000-000000.parquet", b"x" * 100)
"""


def test_a_process_that_is_killed_in_the_middle_of_a_write_leaves_no_result(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path)], env=environment, timeout=60, check=False, capture_output=True
    )
    assert done.returncode == -9, done.stderr
    results = Results(str(tmp_path))
    assert len(list((tmp_path / ".unfinished").iterdir())) == 1
    assert results.done() == set()
    results.settle({})
    assert not (tmp_path / ".unfinished").exists()


def test_a_write_that_fails_leaves_the_file_that_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Folder(str(tmp_path))
    folder.write("x", b"old")
    files, _ = fsspec.url_to_fs(str(tmp_path))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(files), "pipe_file", full)
    with pytest.raises(OSError, match="No space"):
        folder.write("x", b"new")
    assert folder.read("x") == b"old"
    assert folder.names() == ["x"]


def test_a_part_is_named_by_its_place_in_the_plan() -> None:
    assert Part(2, 17, 5).file == "part-00002-000017.parquet"
