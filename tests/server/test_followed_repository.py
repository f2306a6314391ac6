"""The models follow the files of their repository: what is swapped when, and what serves meanwhile."""

from __future__ import annotations

import errno
import os
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest

from camgraph_core.errors import InvalidGraphError, NotFoundError, NotReadyError, UnavailableError
from camgraph_runtime import Explainer
from camgraph_server.errors import RepositoryError
from camgraph_server.models.discovery import discover
from camgraph_server.models.loaded import Loaded
from camgraph_server.models.model import ModelState
from camgraph_server.models.repository import ModelRepository
from support.serving import PATIENCE, write_model
from support.tiny_graph import TinyGraph

OLD, NEW = TinyGraph(labels=("a", "b")), TinyGraph(labels=("a", "b", "c"))


def loaded(folder: Path, loader=Explainer) -> ModelRepository:
    repository = ModelRepository(folder, loader)
    repository.load()
    return repository


def states(repository: ModelRepository) -> dict[tuple[str, str], tuple[str, int]]:
    """State and number of classes of each model."""
    return {model.entry.key: (model.info.state, model.info.num_classes) for model in repository.models}


def look_twice(repository: ModelRepository) -> None:
    repository.look()
    repository.look()


def add(folder: Path) -> None:
    write_model(folder, "tiny", 2, NEW)


def overwrite(folder: Path) -> None:
    write_model(folder, "tiny", 1, NEW)


def break_file(folder: Path) -> None:
    (folder / "tiny/1/model.onnx").write_bytes(b"not a model")


def remove(folder: Path) -> None:
    shutil.rmtree(folder / "tiny")


def keep(folder: Path) -> None:
    """No change."""


CHANGES = {
    add: {("tiny", "1"): ("ready", 2), ("tiny", "2"): ("ready", 3)},
    overwrite: {("tiny", "1"): ("ready", 3)},
    break_file: {("tiny", "1"): ("ready", 2)},
    remove: {},
    keep: {("tiny", "1"): ("ready", 2)},
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("follow", [look_twice, ModelRepository.reload])
def test_what_becomes_of_a_change(tmp_path, change, follow):
    write_model(tmp_path, graph=OLD)
    repository = loaded(tmp_path)
    change(tmp_path)
    assert states(repository) == {("tiny", "1"): ("ready", 2)}
    follow(repository)
    assert states(repository) == CHANGES[change]
    repository.close()


def test_a_file_that_is_still_written_is_left_alone(tmp_path):
    path = write_model(tmp_path, graph=OLD)
    opened = []

    def load(path: Path) -> Explainer:
        opened.append(path)
        return Explainer(path)

    repository = loaded(tmp_path, load)
    data = NEW.serialize()
    for length in range(1, 5):
        path.write_bytes(data[: len(data) * length // 5])
        repository.look()
    path.write_bytes(data)
    repository.look()
    assert len(opened) == 1
    repository.look()
    assert len(opened) == 2
    assert states(repository) == {("tiny", "1"): ("ready", 3)}
    look_twice(repository)
    assert len(opened) == 2
    repository.close()


def test_a_file_that_changes_while_it_is_loaded_is_not_swapped_in(tmp_path):
    path = write_model(tmp_path, graph=OLD)
    repository = loaded(tmp_path)

    def load(path: Path) -> Explainer:
        explainer = Explainer(path)
        path.write_bytes(path.read_bytes() + b"\n")
        return explainer

    repository._loader = load
    path.write_bytes(NEW.serialize())
    repository.reload()
    [model] = repository.models
    assert model.info.num_classes == 2
    assert "changed while it was loaded" in model.reason
    repository.close()


def test_files_that_were_away_while_they_were_loaded_are_tried_again_when_they_are_back(tmp_path):
    """Their stamps are those of the try that failed: so nothing has changed between two looks."""
    away = tmp_path / "away"

    def load(path: Path) -> Explainer:
        if not away.exists():
            (tmp_path / "models").rename(away)
        return Explainer(path)

    write_model(tmp_path / "models")
    repository = loaded(tmp_path / "models", load)
    assert states(repository)["tiny", "1"][0] == "failed"
    away.rename(tmp_path / "models")
    away.mkdir()
    look_twice(repository)
    assert states(repository)["tiny", "1"][0] == "ready"


def test_files_with_weights_are_watched_too(tmp_path):
    folder = write_model(tmp_path, graph=OLD).parent
    (tmp_path / "flat.onnx").write_bytes(OLD.serialize())
    repository = loaded(tmp_path)
    before = {model.name: model.loaded for model in repository.models}
    (folder / "model.onnx.data").write_bytes(b"weights")
    (tmp_path / "flat.onnx.data").write_bytes(b"weights")
    look_twice(repository)
    assert all(model.loaded is not before[model.name] for model in repository.models)
    repository.close()


def test_the_reason_of_a_failed_reload_is_told_until_it_is_mended(tmp_path, caplog):
    write_model(tmp_path, graph=OLD)
    repository = loaded(tmp_path)
    break_file(tmp_path)
    look_twice(repository)
    [model] = repository.models
    assert model.state is ModelState.READY
    assert "serves as it was before" in model.info.reason
    assert "model.onnx cannot be loaded" in model.info.reason
    assert caplog.records[-1].levelname == "ERROR"
    assert caplog.records[-1].getMessage() == "model not replaced"
    overwrite(tmp_path)
    look_twice(repository)
    assert repository.models[0].info.reason == ""
    repository.close()


def test_a_reload_tries_again_what_failed_although_its_files_are_the_same(tmp_path):
    write_model(tmp_path)
    problems = [InvalidGraphError("There is no memory left.")]

    def load(path: Path) -> Explainer:
        if problems:
            raise problems.pop()
        return Explainer(path)

    repository = loaded(tmp_path, load)
    look_twice(repository)
    assert repository.models[0].reason == "There is no memory left."
    repository.reload()
    assert repository.models[0].state is ModelState.READY
    repository.close()


def test_a_repository_that_vanishes_leaves_what_is_loaded_and_is_reported_once(tmp_path, caplog):
    folder = tmp_path / "models"
    write_model(folder, graph=OLD)
    repository = loaded(folder)
    folder.rename(tmp_path / "away")
    look_twice(repository)
    assert states(repository) == {("tiny", "1"): ("ready", 2)}
    assert sum("cannot be looked through" in record.getMessage() for record in caplog.records) == 1
    (tmp_path / "away").rename(folder)
    look_twice(repository)
    assert states(repository) == {("tiny", "1"): ("ready", 2)}
    repository.close()


@pytest.mark.parametrize("code", [errno.ESTALE, errno.EIO, errno.EACCES])
def test_a_file_system_that_gives_errors_leaves_what_is_loaded(code, tmp_path, monkeypatch, caplog):
    write_model(tmp_path, graph=OLD)
    repository = loaded(tmp_path)

    def broken(path, **_):
        raise OSError(code, os.strerror(code), str(path))

    with monkeypatch.context() as patched:
        for call in ("stat", "iterdir"):
            patched.setattr(Path, call, broken)
        look_twice(repository)
    assert states(repository) == {("tiny", "1"): ("ready", 2)}
    assert sum("cannot be looked through" in record.getMessage() for record in caplog.records) == 1
    overwrite(tmp_path)
    look_twice(repository)
    assert states(repository) == {("tiny", "1"): ("ready", 3)}
    repository.close()


def test_a_repository_whose_name_cannot_be_one_is_said(tmp_path):
    with pytest.raises(RepositoryError, match="cannot be read: File name too long"):
        discover(tmp_path / ("x" * 300))


@pytest.mark.parametrize("shut", ["tiny", "tiny/2"])
def test_a_folder_that_cannot_be_read_for_a_while_unloads_nothing(tmp_path, monkeypatch, shut):
    write_model(tmp_path, "tiny", 1, OLD)
    write_model(tmp_path, "tiny", 2, NEW)
    repository = loaded(tmp_path)
    real = Path.iterdir

    def iterdir(path):  # root may read everything, so the refusal is played
        if path == tmp_path / shut:
            raise PermissionError(13, "Permission denied")
        return real(path)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "iterdir", iterdir)
        look_twice(repository)
    assert states(repository) == {("tiny", "1"): ("ready", 2), ("tiny", "2"): ("ready", 3)}
    assert any("Permission denied" in model.reason for model in repository.models)
    look_twice(repository)
    assert [model.reason for model in repository.models] == ["", ""]
    repository.close()


def test_loading_and_unloading_by_name(tmp_path):
    write_model(tmp_path, "tiny", 1, OLD)
    write_model(tmp_path, "tiny", 2, NEW)
    repository = loaded(tmp_path)
    repository.unload_model("tiny", "2")
    assert states(repository) == {("tiny", "1"): ("ready", 2), ("tiny", "2"): ("unloaded", 0)}
    assert repository.find("tiny").version == "1"
    with pytest.raises(NotReadyError, match="unloaded"):
        repository.find("tiny", "2").check_ready()
    write_model(tmp_path, "tiny", 2, OLD)
    repository.reload()
    assert states(repository)["tiny", "2"] == ("unloaded", 0)
    repository.load_model("tiny")
    assert states(repository) == {("tiny", "1"): ("ready", 2), ("tiny", "2"): ("ready", 2)}
    break_file(tmp_path)
    with pytest.raises(NotReadyError, match="cannot be loaded"):
        repository.load_model("tiny", "1")
    for call in (repository.load_model, repository.unload_model):
        with pytest.raises(NotFoundError, match="'tiny'"):
            call("tinny")
        with pytest.raises(NotFoundError, match="no version '7'"):
            call("tiny", "7")
    repository.close()


def test_an_explainer_is_closed_when_its_last_user_has_left(tmp_path):
    write_model(tmp_path, graph=OLD)
    repository = loaded(tmp_path)
    with repository.lent("tiny") as model:
        explainer = model.explainer
        overwrite(tmp_path)
        repository.reload()
        assert repository.find("tiny").explainer is not explainer
        with model.lent() as lent:  # a worker takes it after it was replaced
            assert lent.predict(tensor=np.zeros((1, 3, 16, 16), np.float32), num_predictions=1).predictions
    wait_for_closing_threads()
    assert explainer.engine._session is None
    with pytest.raises(UnavailableError, match="has just been replaced"), model.lent():
        pass
    repository.close()


def test_a_model_that_is_replaced_between_two_glances_is_looked_up_again(tmp_path):
    write_model(tmp_path)
    repository = loaded(tmp_path)
    old = repository.find("tiny")
    found = iter([old])
    real = repository.find
    overwrite(tmp_path)
    repository.reload()
    repository.find = lambda *key: next(found, None) or real(*key)
    with repository.lent("tiny") as model:
        assert model is not old
    repository.close()


def test_users_come_and_go_while_it_is_retired():
    closed = threading.Event()

    class Closing:
        def close(self) -> None:
            assert not closed.is_set()
            closed.set()

    shared = Loaded(Closing())
    assert shared.enter()
    assert shared.enter()
    shared.retire()
    shared.leave()
    assert not closed.is_set()
    shared.leave()
    assert closed.wait(PATIENCE)
    assert not shared.enter()
    shared.retire()


def wait_for_closing_threads() -> None:
    for thread in threading.enumerate():
        if thread.name == "camgraph-closing":
            thread.join(PATIENCE)
