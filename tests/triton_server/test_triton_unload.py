"""What a model of Triton's Python backend holds is given back when it is unloaded."""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import tritonclient.grpc as client
from tritonclient.utils import InferenceServerException

from camgraph_core.errors import InferenceError
from camgraph_triton.options import TritonOptions
from camgraph_triton.repository import write_repository
from support.peers import Peer
from support.serving import png, write_model
from support.triton_server import is_too_slow, triton_server

MODULES = {"explanations": "tiny", "tensors": "tiny.tensors", "prepare": "tiny.prepare", "draw": "tiny.draw"}
ROUNDS, ATTEMPTS = 6, 3
PATIENCE = 60.0


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """One graph, run by the Python backend, with an ensemble."""
    write_model(tmp_path / "models")
    options = TritonOptions(graph_backend="python", graph_threads=1, instances=1, ensemble=True)
    write_repository([tmp_path / "models"], tmp_path / "repository", options)
    return tmp_path / "repository"


@pytest.mark.parametrize(("module", "model"), MODULES.items())
def test_a_model_closes_its_graph(module: str, model: str, repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "triton_python_backend_utils", ModuleType("triton_python_backend_utils"))
    parameters = {"threads": "1", "device": "cpu"}
    config = {"parameters": {name: {"string_value": text} for name, text in parameters.items()}}
    loaded = importlib.import_module(f"camgraph_triton.serving.{module}").TritonPythonModel()
    loaded.initialize(
        {
            "model_name": model,
            "model_version": "1",
            "model_repository": str(repository / model),
            "model_config": json.dumps(config),
        }
    )
    explainer = loaded.explainer
    loaded.finalize()
    with pytest.raises(InferenceError, match="closed"):
        explainer.engine.run({})


@pytest.mark.timeout(400)
def test_processes_end_and_memory_comes_back_however_often_models_are_loaded(
    peer: Callable[[str], Peer], repository: Path, tmp_path: Path
) -> None:
    for attempt in range(ATTEMPTS):
        folder = tmp_path / str(attempt)
        folder.mkdir()
        try:
            sizes = sizes_after_rounds(peer("triton"), repository, folder)
            break
        except InferenceServerException:  # Triton ended itself
            if attempt == ATTEMPTS - 1 or not is_too_slow(folder / "triton.log"):
                raise
    assert sizes[-1] - sizes[1] < 4 * 1024, sizes


def sizes_after_rounds(program: Peer, repository: Path, folder: Path) -> list[int]:
    """KiB of Triton's process after each round of loading, asking and unloading."""
    image = client.InferInput("image", [1], "BYTES")
    image.set_data_from_numpy(np.array([png()], object))
    sizes = []
    with (
        triton_server(program, repository, folder, "--model-control-mode=explicit") as server,
        client.InferenceServerClient(server.grpc) as opened,
    ):
        for _ in range(ROUNDS):
            opened.load_model("tiny.ensemble")  # with its steps
            opened.load_model("tiny")
            for model in ("tiny", "tiny.ensemble"):
                outputs = [client.InferRequestedOutput("heatmap")]
                assert opened.infer(model, [image], outputs=outputs).as_numpy("heatmap").shape == (1, 30, 40)
            wait_for(lambda: len(children(server.process)) == len(MODULES))
            opened.unload_model("tiny.ensemble", unload_dependents=True)
            opened.unload_model("tiny")
            wait_for(lambda: not children(server.process))
            sizes.append(resident_kib(server.process))
    return sizes


def children(process: int) -> list[int]:
    """The processes that it has started and that have not ended."""
    return [int(number) for number in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def resident_kib(process: int) -> int:
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def wait_for(happened: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < until
        time.sleep(0.1)
