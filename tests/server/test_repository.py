"""Which files of a directory are models, and what becomes of broken ones."""

from __future__ import annotations

import pytest

from camgraph_core.errors import InvalidGraphError, InvalidInputError, NotFoundError, NotReadyError, UnavailableError
from camgraph_runtime import Explainer
from camgraph_server.config import ServerConfig
from camgraph_server.errors import RepositoryError
from camgraph_server.models.loading import load_explainer
from camgraph_server.models.model import ModelState
from camgraph_server.models.repository import ModelRepository
from support.saturating_cpu import asks_for_exact
from support.serving import write_model
from support.tiny_graph import TinyGraph


def touch(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"model")


def listed(folder):
    return [(model.name, model.version, model.state) for model in ModelRepository(folder, Explainer).models]


def test_the_three_layouts_and_the_order(tmp_path):
    touch(tmp_path, "c.onnx", "b/model.onnx", "a/10/model.onnx", "a/9/model.onnx")
    assert listed(tmp_path) == [
        ("a", "9", ModelState.LOADING),
        ("a", "10", ModelState.LOADING),
        ("b", "1", ModelState.LOADING),
        ("c", "1", ModelState.LOADING),
    ]


def test_hidden_entries_and_other_files_are_ignored(tmp_path):
    touch(
        tmp_path,
        "a.onnx",
        "README.md",
        ".git/model.onnx",
        ".hidden.onnx",
        "b/1/model.onnx",
        "b/.old/model.onnx",
    )
    touch(tmp_path, "b/labels.txt", "b/1/model.onnx.data")
    assert [(name, version) for name, version, _ in listed(tmp_path)] == [("a", "1"), ("b", "1")]


def test_symbolic_links_are_followed(tmp_path):
    touch(tmp_path, "elsewhere/model.onnx", "models/a.onnx")
    (tmp_path / "models" / "linked").symlink_to(tmp_path / "elsewhere")
    assert [name for name, *_ in listed(tmp_path / "models")] == ["a", "linked"]


@pytest.mark.parametrize(
    ("files", "name", "version", "reason"),
    [
        (["a/v2/model.onnx"], "a", "v2", "not a version"),
        (["a/01/model.onnx"], "a", "01", "not a version"),
        (["a/weights.onnx"], "a", "1", "holds no model.onnx"),
        (["a.onnx", "a/model.onnx"], "a", "1", "there twice"),
        (["a/1/model.onnx", "a/model.onnx"], "a", "1", "there twice"),
    ],
)
def test_what_cannot_be_a_model_is_listed_with_the_reason(tmp_path, files, name, version, reason):
    touch(tmp_path, *files, "good.onnx")
    models = {model.name: model for model in ModelRepository(tmp_path, Explainer).models}
    assert set(models) == {name, "good"}
    assert models[name].version == version
    assert models[name].state is ModelState.FAILED
    assert reason in models[name].reason


def test_all_problems_are_reported_and_the_rest_is_ready(tmp_path, caplog):
    write_model(tmp_path, "good")
    touch(tmp_path, "garbage.onnx", "plain.onnx", "empty.onnx", "noversion/x/model.onnx")
    (tmp_path / "empty.onnx").write_bytes(b"")
    (tmp_path / "torn.onnx").write_bytes(TinyGraph().serialize()[:-100])
    plain = TinyGraph().model()
    del plain.metadata_props[:]
    (tmp_path / "plain.onnx").write_bytes(plain.SerializeToString())
    repository = ModelRepository(tmp_path, Explainer)
    repository.load()
    states = {model.name: model.state for model in repository.models}
    failed = ("empty", "garbage", "noversion", "plain", "torn")
    assert states == {"good": ModelState.READY} | dict.fromkeys(failed, ModelState.FAILED)
    assert all(model.reason for model in repository.models if model.name in failed)
    reported = [record for record in caplog.records if record.getMessage() == "model failed"]
    assert {record.camgraph_facts["model"] for record in reported} == set(failed)
    [together] = [record for record in caplog.records if record.getMessage() == "models that are not served"]
    assert together.camgraph_facts["count"] == "5 of 6"
    assert together.camgraph_facts["models"] == "empty/1, garbage/1, noversion/x, plain/1, torn/1"
    with pytest.raises(NotReadyError, match="camgraph export"):
        repository.find("plain").check_ready()
    repository.close()


def test_a_loader_that_breaks_does_not_take_the_others_down(tmp_path):
    touch(tmp_path, "bad.onnx")
    write_model(tmp_path, "good")

    def load(path):
        if path.stem == "bad":
            raise MemoryError
        return Explainer(path)

    repository = ModelRepository(tmp_path, load)
    repository.load()
    assert [model.state for model in repository.models] == [ModelState.FAILED, ModelState.READY]
    assert repository.models[0].reason == "It could not be loaded: MemoryError."


def test_finding(tmp_path):
    touch(tmp_path, "a/1/model.onnx", "a/2/model.onnx")
    repository = ModelRepository(tmp_path, Explainer)
    assert repository.find("").version == "2"
    assert repository.find("a", "1").version == "1"
    with pytest.raises(UnavailableError):
        repository.find("a").check_ready()
    with pytest.raises(NotFoundError, match="no version '3'"):
        repository.find("a", "3")
    touch(tmp_path, "b.onnx")
    with pytest.raises(InvalidInputError, match="'a', 'b'"):
        ModelRepository(tmp_path, Explainer).find("")


def test_directory_that_is_missing_or_empty(tmp_path):
    with pytest.raises(RepositoryError, match="not a directory"):
        ModelRepository(tmp_path / "nowhere", Explainer)
    empty = ModelRepository(tmp_path, Explainer)
    empty.load()
    assert empty.models == []
    with pytest.raises(NotFoundError, match="has no model"):
        empty.find("")


def test_a_graph_that_does_not_run_is_found_at_the_start(tmp_path):
    class Liar(TinyGraph):
        def manifest(self):
            manifest = super().manifest()
            manifest.target.target_input = "image"
            return manifest

    path = write_model(tmp_path, graph=Liar())
    with pytest.raises((InvalidGraphError, InvalidInputError)):
        load_explainer(ServerConfig(tmp_path), path)


@pytest.mark.parametrize("fast", [False, True])
def test_8_bit_kernels_are_exact_unless_told_otherwise(fast, tmp_path, saturating):
    load_explainer(ServerConfig(tmp_path, fast_int8=fast), write_model(tmp_path)).close()
    assert [asks_for_exact(settings) for settings in saturating.settings] == [not fast]


def test_a_graph_that_exact_kernels_do_not_take_is_logged(tmp_path, saturating, caplog):
    saturating.refuses_exact = True
    load_explainer(ServerConfig(tmp_path), write_model(tmp_path)).close()
    [record] = caplog.records
    assert record.levelname == "WARNING"
    assert "with exact kernels" in record.getMessage()
