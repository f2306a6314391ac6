"""Which images a run is about."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from camgraph_client.bulk.images import images_of
from camgraph_core.errors import CamgraphError, UsageError


def named(*arguments: str, column: str = "path", target_column: str | None = None) -> list[tuple[str, str]]:
    table = images_of(arguments, column, target_column)
    return list(zip(table["image"].to_pylist(), table["target"].to_pylist(), strict=True))


def paths(*arguments: str, **kwargs: Any) -> list[str]:
    return [image for image, _ in named(*arguments, **kwargs)]


def whole(photos: Path, *names: str) -> list[str]:
    return [str(photos / name) for name in names]


ALL = ("0/0.png", "0/2.png", "1/1.png", "1/3.png", "broken.jpg")


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        ([""], ALL),
        (["1"], ("1/1.png", "1/3.png")),
        (["**/*.png"], ALL[:4]),
        (["0/0.png", "0/0.png", "0"], ("0/0.png", "0/2.png")),
        (["*.jpg", "1/1.png"], ("1/1.png", "broken.jpg")),
    ],
    ids=["a folder", "a folder in it", "a pattern", "each once", "in the order of paths"],
)
def test_folders_files_and_patterns(photos: Path, arguments: Sequence[str], wanted: Sequence[str]) -> None:
    assert paths(*(str(photos / argument) for argument in arguments)) == whole(photos, *wanted)


def test_a_relative_path_is_read_from_here(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(photos)
    assert paths("1") == whole(photos, "1/1.png", "1/3.png")


def test_hidden_files_and_folders_are_left_out(photos: Path) -> None:
    for name in (".hidden.png", ".thumbnails/0.png", "0/.1.png"):
        (photos / name).parent.mkdir(exist_ok=True)
        (photos / name).write_bytes(b"")
    assert paths(str(photos)) == whole(photos, *ALL)


def test_a_list_has_paths_from_its_own_folder_absolute_ones_and_urls(photos: Path) -> None:
    file = photos / "list.txt"
    file.write_text(f"0/0.png\n\n{photos}/1/1.png \nmemory://elsewhere/x.png\n", encoding="utf-8")
    assert paths(str(file)) == sorted([*whole(photos, "0/0.png", "1/1.png"), "memory://elsewhere/x.png"])


@pytest.mark.parametrize("argument", ["table.parquet", "*.parquet", ""], ids=["file", "pattern", "folder"])
def test_tables_have_paths_and_targets(tmp_path: Path, argument: str) -> None:
    folder = tmp_path / "tables"
    folder.mkdir()
    table = pa.table({"file": ["a.png", "b.png", "c.png"], "class": [3, None, 1]})
    pq.write_table(table, folder / "table.parquet")
    found = named(str(folder / argument), column="file", target_column="class")
    assert found == [(f"{folder}/a.png", "3"), (f"{folder}/b.png", ""), (f"{folder}/c.png", "1")]


def test_images_of_another_store() -> None:
    files = fsspec.filesystem("memory")
    files.pipe({"/bulk/x/1.png": b"", "/bulk/x/2.JPG": b"", "/bulk/x/notes.md": b"", "/bulk/list.txt": b"x/1.png\n"})
    assert paths("memory://bulk/x") == ["memory:///bulk/x/1.png", "memory:///bulk/x/2.JPG"]
    assert paths("memory://bulk/**/*.png") == ["memory:///bulk/x/1.png"]
    assert paths("memory://bulk/list.txt") == ["memory:///bulk/x/1.png"]


@pytest.mark.parametrize(
    ("argument", "wanted"),
    [
        ("nowhere", "names no image"),
        ("*.gif", "names no image"),
        ("no-such-store://x", "cannot be used"),
        ("wrong.parquet", "cannot be read"),
        ("table.parquet", "has no column 'path'. It has file."),
        ("gap.parquet", "rows without a path"),
        ("binary.txt", "cannot be read"),
    ],
)
def test_what_cannot_be_read_is_said(photos: Path, argument: str, wanted: str) -> None:
    (photos / "wrong.parquet").write_bytes(b"nothing")
    (photos / "binary.txt").write_bytes(b"\xff\xfe")
    pq.write_table(pa.table({"file": ["a.png"]}), photos / "table.parquet")
    pq.write_table(pa.table({"path": ["a.png", None]}), photos / "gap.parquet")
    with pytest.raises(CamgraphError, match=wanted):
        paths(argument if "://" in argument else str(photos / argument))


class HostFileSystem(MemoryFileSystem):
    """A store whose URLs have a host and whose names have none, as with sftp."""

    protocol = "withhost"

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return "/" + path.partition("://")[2].partition("/")[2] if "://" in path else path


fsspec.register_implementation("withhost", HostFileSystem, clobber=True)


def test_images_keep_the_host_that_their_store_does_not_name(tmp_path: Path) -> None:
    files = HostFileSystem()
    for name in ("1.png", "2.png"):
        files.pipe_file(f"/{tmp_path.name}/{name}", b"")
    files.pipe_file(f"/{tmp_path.name}/list.txt", b"1.png\n/other/3.png")
    url = f"withhost://me@store:22/{tmp_path.name}"
    assert paths(url) == [f"{url}/1.png", f"{url}/2.png"]
    assert f"{url}/1.png" in paths(f"{url}/list.txt")
    with pytest.raises(UsageError, match="FSSPEC_WITHHOST_PASSWORD") as refused:
        paths(url.replace("me@", "me:secret@"))
    assert "secret" not in str(refused.value)
