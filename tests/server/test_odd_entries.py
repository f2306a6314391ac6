"""Odd files in a repository: the server starts beside them, and serves what is good."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from camgraph.v1 import explanation_pb2 as pb
from camgraph.v1.explanation_pb2_grpc import ExplanationServiceStub
from camgraph_core.errors import InvalidGraphError
from camgraph_runtime import Explainer
from camgraph_server.config import ServerConfig
from camgraph_server.models import trial
from camgraph_server.models.model import ModelState
from camgraph_server.models.repository import ModelRepository
from camgraph_server.models.trial import Trial
from support.serving import PATIENCE, png, server_process, write_model

ABORTS = """
import os, sys
real = os.stat
def stat(path, *arguments, **options):
    if sys.argv == ["-c"] and str(path).endswith("bomb.onnx"):  # in the trial's process alone
        os.abort()
    return real(path, *arguments, **options)
os.stat = stat
"""


def listed(folder: Path) -> dict[str, tuple[ModelState, str]]:
    return {model.name: (model.state, model.reason) for model in ModelRepository(folder, Explainer).models}


def test_lost_and_found_and_names_that_are_not_utf_8_are_ignored(tmp_path, caplog):
    write_model(tmp_path, "good")
    (tmp_path / "lost+found").mkdir()
    (tmp_path / os.fsdecode(b"b\xff")).mkdir()
    (tmp_path / os.fsdecode(b"c\xff.onnx")).write_bytes(b"x")
    assert set(listed(tmp_path)) == {"good"}
    assert [record.getMessage() for record in caplog.records] == ["ignored, as its name is not UTF-8"] * 2


def test_a_folder_that_cannot_be_read_is_listed_with_the_reason(tmp_path, monkeypatch):
    write_model(tmp_path, "good")
    (tmp_path / "shut").mkdir()
    real = Path.iterdir

    def iterdir(path):  # root may read everything, so the refusal is played
        if path.name == "shut":
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    models = listed(tmp_path)
    assert models["good"][0] is ModelState.LOADING
    state, reason = models["shut"]
    assert state is ModelState.FAILED
    assert "cannot be read: Permission denied" in reason


def test_what_is_no_file_is_listed_as_that(tmp_path):
    os.mkfifo(tmp_path / "pipe.onnx")
    (tmp_path / "device.onnx").symlink_to("/dev/zero")
    for state, reason in listed(tmp_path).values():
        assert (state, reason.endswith("is not a regular file.")) == (ModelState.FAILED, True), reason


def test_a_name_may_be_as_long_as_a_file_may_be_called(tmp_path):
    """And so have no room for the name of a bank beside it."""
    name = "n" * 250
    (tmp_path / f"{name}.onnx").write_bytes(write_model(tmp_path / "made").read_bytes())
    repository = ModelRepository(tmp_path, Explainer)
    repository.load()
    assert {model.name: model.state for model in repository.models}[name] is ModelState.READY


async def test_a_file_that_ends_the_process_which_loads_it_does_not_end_the_server(tmp_path, connect, monkeypatch):
    (tmp_path / "sitecustomize.py").write_text(ABORTS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    models = tmp_path / "models"
    write_model(models, "good")
    (models / "bomb.onnx").write_bytes(write_model(models, "also_good").read_bytes())
    with server_process(models, trial=True) as process:
        stub = ExplanationServiceStub(connect(process.address))
        states = {
            model.name: (model.state, model.reason)
            for model in (await stub.ListModels(pb.ListModelsRequest(), timeout=PATIENCE)).models
        }
        assert states["good"][0] == states["also_good"][0] == pb.MODEL_STATE_READY
        assert states["bomb"][0] == pb.MODEL_STATE_FAILED
        assert "ends the process that loads it (exit -6)" in states["bomb"][1]
        request = pb.ExplainRequest(model_name="good", image=pb.EncodedImage(data=png()))
        assert (await stub.Explain(request, timeout=PATIENCE)).predictions
        process.signal(signal.SIGTERM)
        code, _ = await asyncio.to_thread(process.wait)
    assert code == 0


def test_one_trial_serves_for_good_and_bad_files(tmp_path):
    good, torn = write_model(tmp_path, "good"), tmp_path / "torn.onnx"
    torn.write_bytes(good.read_bytes()[:-100])
    checked = Trial(ServerConfig(tmp_path), PATIENCE)
    checked.check(good)
    with pytest.raises(InvalidGraphError, match=r"torn\.onnx"):
        checked.check(torn)
    checked.check(good)
    checked.rest()
    checked.check(good)
    checked.close()
    with pytest.raises(InvalidGraphError, match="stopping"):
        checked.check(good)


def test_a_file_that_is_tried_while_the_server_stops_is_not_blamed(tmp_path, monkeypatch):
    monkeypatch.setattr(trial, "_MAIN", "import time; time.sleep(600)")
    checked = Trial(ServerConfig(tmp_path), PATIENCE)
    stopping = threading.Timer(0.2, checked.close)
    stopping.start()
    with pytest.raises(InvalidGraphError, match="stopping"):
        checked.check(tmp_path / "slow.onnx")
    stopping.join()


@pytest.mark.parametrize(("limit", "most"), [("RLIMIT_DATA", 2**30), ("RLIMIT_AS", 2**32), ("RLIMIT_CPU", 600)])
def test_a_server_with_limits_of_its_own_opens_files_first(limit, most, tmp_path):
    """A limit may be lowered, and never raised."""
    code = f"""
import resource
from pathlib import Path
from camgraph_server.models.trial import ServerConfig, Trial
resource.setrlimit(resource.{limit}, ({most}, {most}))
Trial(ServerConfig(Path(".")), {PATIENCE}).check(Path("m.onnx"))
"""
    (tmp_path / "m.onnx").write_bytes(write_model(tmp_path / "made").read_bytes())
    run = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


def test_a_trial_that_cannot_work_does_not_blame_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr(trial, "_MAIN", "import sys; sys.exit(3)")
    checked = Trial(ServerConfig(tmp_path), PATIENCE)
    with pytest.raises(InvalidGraphError, match=r"good\.onnx was not opened.*\(exit 3\)") as caught:
        checked.check(tmp_path / "good.onnx")
    assert "damaged" not in str(caught.value)
    checked.close()


def test_a_file_that_takes_too_long(tmp_path, monkeypatch):
    monkeypatch.setattr(trial, "_MAIN", "import time; time.sleep(600)")
    checked = Trial(ServerConfig(tmp_path), patience=0.2)
    with pytest.raises(InvalidGraphError, match=r"or longer than 0 s to load"):
        checked.check(tmp_path / "slow.onnx")
    checked.close()
