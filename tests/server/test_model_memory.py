"""The memory of models: what does not fit is not loaded, and what was unloaded makes room."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from camgraph_core.errors import NotReadyError, UnsupportedError
from camgraph_runtime import Explainer
from camgraph_server.config import ServerConfig
from camgraph_server.models.loading import model_memory
from camgraph_server.models.memory import ModelMemory
from camgraph_server.models.repository import ModelRepository
from support.serving import PATIENCE, write_model
from support.tiny_graph import TinyGraph

MIB = 1024 * 1024
OLD, NEW = TinyGraph(labels=("a", "b")), TinyGraph(labels=("a", "b", "c"))


def states(repository: ModelRepository) -> dict[str, tuple[str, str]]:
    return {model.name: (model.info.state, model.info.reason) for model in repository.models}


def loaded(folder: Path, size: int) -> ModelRepository:
    repository = ModelRepository(folder, Explainer, ModelMemory(size))
    repository.load()
    return repository


def test_what_does_not_fit_is_not_loaded_until_there_is_room(tmp_path):
    for name in ("a", "b", "c"):
        write_model(tmp_path, name)
    repository = loaded(tmp_path, 18 * MIB)  # for two
    assert {name: state for name, (state, _) in states(repository).items()} == {
        "a": "ready",
        "b": "ready",
        "c": "failed",
    }
    reason = states(repository)["c"][1]
    assert reason.startswith("It would take about 8 MiB of memory, and of the 18 MiB for models 16 are taken.")
    repository.unload_model("a")
    repository.load_model("c")
    with pytest.raises(NotReadyError, match="max-model-memory-mib"):
        repository.load_model("a")
    repository.close()


def test_a_model_is_counted_until_its_last_call_has_ended(tmp_path):
    write_model(tmp_path, graph=OLD)
    repository = loaded(tmp_path, 18 * MIB)
    with repository.lent("tiny"):
        write_model(tmp_path, graph=NEW)
        repository.reload()
        assert states(repository) == {"tiny": ("ready", "")}
        write_model(tmp_path, graph=OLD)
        repository.reload()
        assert "serves as it was before. It would take" in states(repository)["tiny"][1]
    for thread in threading.enumerate():
        if thread.name == "camgraph-closing":
            thread.join(PATIENCE)
    repository.reload()
    assert states(repository) == {"tiny": ("ready", "")}
    repository.close()


def test_a_file_that_cannot_be_loaded_takes_nothing(tmp_path):
    path = write_model(tmp_path)
    good = path.read_bytes()
    path.write_bytes(b"torn")
    repository = loaded(tmp_path, 9 * MIB)
    for _ in range(3):
        repository.reload()
    path.write_bytes(good)
    repository.reload()
    assert states(repository) == {"tiny": ("ready", "")}
    repository.close()


def test_the_estimate_covers_the_files(tmp_path):
    memory = ModelMemory(100 * MIB)
    assert memory.take(40 * MIB) == 88 * MIB
    with pytest.raises(UnsupportedError, match="about 28 MiB of memory, and of the 100 MiB for models 88 are taken"):
        memory.take(10 * MIB)
    memory.give_back(88 * MIB)
    memory.take(40 * MIB)


def test_the_setting_is_for_all_processes_together(tmp_path, monkeypatch):
    assert model_memory(ServerConfig(tmp_path, max_model_memory_mib=100, processes=4)) == 25 * MIB
    monkeypatch.setattr("camgraph_server.models.loading.available_memory", lambda: 1000)
    assert model_memory(ServerConfig(tmp_path)) == 400
