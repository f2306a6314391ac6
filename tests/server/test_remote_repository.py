"""Repositories that are named by a URL: copied, followed, bounded, and cleaned up."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from camgraph.v1 import explanation_pb2 as pb
from camgraph.v1.explanation_pb2_grpc import ExplanationServiceStub
from camgraph_core.errors import UsageError
from camgraph_runtime import Explainer
from camgraph_server.config import ServerConfig
from camgraph_server.errors import RepositoryError
from camgraph_server.models import remote
from camgraph_server.models.remote import RemoteFolder
from camgraph_server.models.repository import ModelRepository
from support.serving import PATIENCE, png, run_camgraph, running_server
from support.tiny_graph import TinyGraph

MIB = 1024 * 1024
OLD, NEW = TinyGraph(labels=("a", "b")).serialize(), TinyGraph(labels=("a", "b", "c")).serialize()

Put = Callable[[str, bytes], None]


@pytest.fixture(params=["memory", "file"])
def url(request, tmp_path: Path) -> Iterator[str]:
    """An empty folder elsewhere."""
    if request.param == "file":
        (tmp_path / "elsewhere").mkdir()
        yield f"file://{tmp_path}/elsewhere"
    else:
        where = f"memory://{uuid.uuid4().hex}"
        yield where
        fsspec.filesystem("memory").store.clear()


@pytest.fixture
def put(url: str) -> Put:
    files, root = fsspec.core.url_to_fs(url)

    def write(name: str, data: bytes) -> None:
        files.makedirs(f"{root}/{name}".rpartition("/")[0], exist_ok=True)
        files.pipe_file(f"{root}/{name}", data)

    return write


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    folder = tmp_path / "cache"
    folder.mkdir()
    return folder


def copied(folder: RemoteFolder) -> dict[str, bytes]:
    found = (path for path in folder.folder.rglob("*") if path.is_file() and path.name != ".lock")
    return {path.relative_to(folder.folder).as_posix(): path.read_bytes() for path in found}


def test_the_copy_follows_its_origin(url, put, cache):
    folder = RemoteFolder(url, cache, MIB)
    assert folder.folder.stat().st_mode & 0o777 == 0o700
    folder.fetch()
    assert copied(folder) == {}
    put("a.onnx", b"1")
    put("b/1/model.onnx", b"2")
    put("b/1/weights.bin", b"3")
    put("b/.hidden/model.onnx", b"no")
    put(".git/config", b"no")
    put("b/1/deeper/file", b"no")
    folder.fetch()
    assert copied(folder) == {"a.onnx": b"1", "b/1/model.onnx": b"2", "b/1/weights.bin": b"3"}
    unchanged = (folder.folder / "a.onnx").stat()
    put("b/1/model.onnx", b"22")
    files, root = fsspec.core.url_to_fs(url)
    files.rm(f"{root}/b/1/weights.bin")
    folder.fetch()
    assert copied(folder) == {"a.onnx": b"1", "b/1/model.onnx": b"22"}
    assert (folder.folder / "a.onnx").stat() == unchanged
    files.rm(f"{root}/b", recursive=True)
    folder.fetch()
    assert sorted(path.name for path in folder.folder.iterdir()) == [".lock", "a.onnx"]
    folder.close()
    assert list(cache.iterdir()) == []


def test_too_much_is_not_copied(url, put, cache, monkeypatch):
    folder = RemoteFolder(url, cache, 10)
    put("a.onnx", bytes(6))
    folder.fetch()
    put("b.onnx", bytes(6))
    with pytest.raises(RepositoryError, match=r"2 files with 0 MiB; the limits are .*--max-download-mib"):
        folder.fetch()
    assert set(copied(folder)) == {"a.onnx"}
    folder.close()
    monkeypatch.setattr(remote, "_MOST_FILES", 1)
    folder = RemoteFolder(url, cache, MIB)
    with pytest.raises(RepositoryError, match="the limits are 1 files"):
        folder.fetch()
    folder.close()


class Lying:
    """A file system that states sizes and names which are not true."""

    def __init__(self, inner: Any, names: dict[str, str], size: int | None = None) -> None:
        self._inner, self._names, self._size = inner, names, size

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def find(self, *arguments: Any, **options: Any) -> dict[str, Any]:
        found = self._inner.find(*arguments, **options)
        return {
            self._names.get(path.rpartition("/")[2], path): info | ({} if self._size is None else {"size": self._size})
            for path, info in found.items()
        }


@pytest.mark.parametrize("size", [5, 50])
def test_a_file_of_another_size_than_stated_is_not_taken(url, put, cache, size):
    put("a.onnx", bytes(10))
    folder = RemoteFolder(url, cache, MIB)
    folder._files = Lying(folder._files, {}, size)
    with pytest.raises(RepositoryError, match="changed while it was copied"):
        folder.fetch()
    assert copied(folder) == {}
    folder.close()


@pytest.mark.parametrize("name", ["../../evil.onnx", "..", "a/../../evil.onnx", "b\0.onnx"])
def test_a_name_that_leads_elsewhere_is_ignored(put, url, cache, name):
    put("a.onnx", b"1")
    folder = RemoteFolder(url, cache, MIB)
    folder._files = Lying(folder._files, {"a.onnx": f"{folder._root}/{name}"})
    folder.fetch()
    assert copied(folder) == {}
    assert [path.name for path in cache.iterdir()] == [folder.folder.name]
    folder.close()


def test_models_are_served_from_it_and_followed(url, put, cache):
    repository = ModelRepository(RemoteFolder(url, cache, MIB), Explainer)
    put("tiny/1/model.onnx", OLD)
    repository.load()
    assert [(model.name, model.info.num_classes) for model in repository.models] == [("tiny", 2)]
    put("tiny/1/model.onnx", NEW)
    for _ in range(2):
        repository.look()
    assert [(model.name, model.info.num_classes) for model in repository.models] == [("tiny", 3)]
    assert [entry.path for entry in repository.index()] == ["tiny/1/model.onnx"]
    repository.close()
    assert list(cache.iterdir()) == []


def test_an_origin_that_cannot_be_read_leaves_what_is_loaded(tmp_path, cache, caplog):
    origin = tmp_path / "elsewhere"
    (origin / "tiny").mkdir(parents=True)
    (origin / "tiny/model.onnx").write_bytes(OLD)
    folder = RemoteFolder(f"file://{origin}", cache, MIB)
    real = folder._files.open
    folder._files.open = refuse
    repository = ModelRepository(folder, Explainer)
    repository.load()
    assert repository.models == []
    assert "PermissionError" in caplog.records[0].camgraph_facts["reason"]
    folder._files.open = real
    repository.reload()
    assert [model.info.state for model in repository.models] == ["ready"]
    (origin / "tiny/model.onnx").write_bytes(NEW)
    folder._files.open = refuse
    repository.reload()
    assert [model.info.num_classes for model in repository.models] == [2]
    folder._files.open = real
    repository.close()


def refuse(*_: Any) -> Any:
    raise PermissionError(13, "Permission denied")


def test_copies_that_were_left_behind_are_removed_and_those_in_use_are_not(cache):
    left = cache / "camgraph-models-left"
    left.mkdir()
    (left / ".lock").touch()
    (left / "a.onnx").write_bytes(b"1")
    other = cache / "somebody else's"
    other.mkdir()
    first = RemoteFolder("memory://models", cache, MIB)
    second = RemoteFolder("memory://models", cache, MIB)
    assert {path.name for path in cache.iterdir()} == {first.folder.name, second.folder.name, other.name}
    first.close()
    second.close()


async def test_a_server_of_a_url(connect, cache):
    where = f"memory://{uuid.uuid4().hex}"
    files, root = fsspec.core.url_to_fs(where)
    files.pipe_file(f"{root}/tiny.onnx", OLD)
    async with running_server(where, model_cache=cache) as server:
        stub = ExplanationServiceStub(connect(server.address))
        answer = await stub.Explain(pb.ExplainRequest(image=pb.EncodedImage(data=png())), timeout=PATIENCE)
        assert answer.model_name == "tiny"
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize(
    ("url", "text"), [("nothing://models", "nothing"), ("memory+zip://x", "Install what fsspec needs")]
)
def test_a_url_that_cannot_be_used(url, text, cache):
    with pytest.raises(UsageError, match=text):
        RemoteFolder(url, cache, MIB)


def test_what_is_missing_is_named(cache, monkeypatch):
    with pytest.raises(RepositoryError, match="--model-cache"):
        RemoteFolder("memory://models", cache / "nowhere", MIB)
    monkeypatch.setattr(remote, "find_spec", lambda _: None)
    with pytest.raises(UsageError, match=r"camgraph\[remote\]"):
        RemoteFolder("memory://models", cache, MIB)


def test_on_the_command_line(tmp_path):
    missing = run_camgraph("serve", "--model-repository", str(tmp_path / "nowhere"))
    assert missing.returncode == 2
    assert "an existing folder, or a URL" in missing.stderr
    forgotten = run_camgraph("serve", "--model-repository", "")  # a variable that is not set
    assert forgotten.returncode == 2
    assert "an existing folder, or a URL" in forgotten.stderr
    unknown = run_camgraph("serve", "--model-repository", "nothing://models")
    assert unknown.returncode == 2
    assert "\nError: The repository nothing://models cannot be used" in f"\n{unknown.stderr}"
    shutil.rmtree(tmp_path, ignore_errors=True)


def test_a_path_as_text_is_a_folder(tmp_path):
    assert ServerConfig(str(tmp_path)).model_repository == str(tmp_path)


def test_a_password_in_a_url_is_refused_before_it_is_logged():
    result = run_camgraph("serve", "--model-repository", "ftp://somebody:hidden@localhost/models")
    assert result.returncode == 2
    assert "give them to fsspec by its environment" in result.stderr
    assert "hidden" not in result.stderr
