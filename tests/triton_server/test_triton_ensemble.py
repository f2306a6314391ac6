"""The ensemble of a graph on a real Triton gives what the model NAME gives, and draws what is wanted alone."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc as client
from tritonclient.utils import InferenceServerException

from camgraph_triton.options import TritonOptions
from camgraph_triton.repository import write_repository
from support.peers import Peer
from support.serving import png, write_model
from support.tasks import export_task
from support.tiny_graph import TinyGraph
from support.triton_server import TritonServer, python_environment, run_by_python, triton_server

MAPS = ("heatmap", "input-heatmap")
PICTURES = ("heatmap-png", "overlay-png", "overlay-jpeg")
TEXTS = ("statistics", "predictions", "hot-regions")
STEADY = 5  # looks at counts that agree
PHOTO = np.array([png(48, 40, seed=5)], object)
POLYGON = b'{"label": "cow", "polygon": {"corners": [{"x": 2, "y": 3}, {"x": 30, "y": 4}, {"x": 9, "y": 28}]}}'

Asked = tuple[str, dict[str, np.ndarray], dict[str, Any]]
ASKED: dict[str, Asked] = {
    "the predicted class": ("tiny", {}, {}),
    "classes and parameters": (
        "tiny",
        {"target_index": np.array([3, 0]), "target_label": np.array([b"bird"], object)},
        {"method": "grad-cam++", "layer": "conv", "max_side": 20, "colormap": "viridis", "num_predictions": 4},
    ),
    "a graph with a switch": ("switched", {"target_rank": np.array([2])}, {}),
    "the best objects, which take a run of their own": ("detection", {}, {"top_k": 2}),
    "a polygon": ("segmentation", {"target": np.array([POLYGON], object)}, {}),
    "a reference, which takes a run of its own": ("embedding", {"reference": np.array([png(seed=1)], object)}, {}),
}


@pytest.fixture(scope="module")
def ensembles(peer: Callable[[str], Peer], tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonServer]:
    """A Triton with the configurations for the onnxruntime backend and its batches; the Python backend runs graphs."""
    graphs = tmp_path_factory.mktemp("graphs")
    write_model(graphs)
    write_model(graphs, version=2, graph=TinyGraph(seed=8))
    write_model(graphs, "switched", graph=TinyGraph(explain_switch=True))
    exported = tmp_path_factory.mktemp("exported")
    for task in ("detection", "segmentation", "embedding"):
        shutil.copyfile(export_task(task, exported), graphs / f"{task}.onnx")
    program, folder = peer("triton"), tmp_path_factory.mktemp("triton")
    options = TritonOptions(max_batch_size=4, max_queue_delay=0.3, instances=1, ensemble=True)
    write_repository([graphs], folder / "repository", options)
    environment = python_environment(program, folder / "environment")
    run_by_python(folder / "repository", environment)
    with triton_server(program, folder / "repository", folder, python=environment) as server:
        yield server


def asked(
    server: TritonServer, model: str, inputs: dict[str, np.ndarray], parameters: dict[str, Any], *outputs: str
) -> client.InferResult:
    given = []
    for name, array in {"image": PHOTO, **inputs}.items():
        given.append(client.InferInput(name, list(array.shape), "BYTES" if array.dtype == object else "INT64"))
        given[-1].set_data_from_numpy(array)
    wanted = [client.InferRequestedOutput(name) for name in outputs] or None
    with client.InferenceServerClient(server.grpc) as opened:
        return opened.infer(model, given, outputs=wanted, parameters=parameters, request_id="mine", client_timeout=60)


@pytest.mark.parametrize("case", ASKED)
def test_its_answers_are_those_of_the_model_that_takes_an_image(case: str, ensembles: TritonServer) -> None:
    model, inputs, parameters = ASKED[case]
    names = (*MAPS, *PICTURES, *TEXTS)
    one, other = (asked(ensembles, name, inputs, parameters, *names) for name in (model, f"{model}.ensemble"))
    assert len(other.as_numpy("heatmap")) == max(1, sum(map(len, inputs.values())), parameters.get("top_k", 1))
    for name in MAPS:
        np.testing.assert_allclose(other.as_numpy(name), one.as_numpy(name), rtol=0, atol=1e-6)
    for name in PICTURES:
        assert list(other.as_numpy(name)) == list(one.as_numpy(name))
    for name in TEXTS:
        assert list(map(json.loads, other.as_numpy(name))) == list(map(json.loads, one.as_numpy(name)))
    assert other.get_response().id == "mine"


def test_without_names_come_the_outputs_that_every_request_has(ensembles: TritonServer) -> None:
    found = asked(ensembles, "tiny.ensemble", {}, {}).get_response().outputs
    assert {output.name for output in found} == {*MAPS, *PICTURES, *TEXTS}


@pytest.mark.parametrize(("outputs", "steps"), [(TEXTS, 1), (("overlay-jpeg",), 1), (("heatmap", "overlay-png"), 2)])
def test_what_is_not_wanted_is_not_drawn(outputs: tuple[str, ...], steps: int, ensembles: TritonServer) -> None:
    _, before = counts(ensembles, "tiny.draw")
    asked(ensembles, "tiny.ensemble", {}, {}, *outputs)
    assert counts(ensembles, "tiny.draw")[1] - before == steps


@pytest.mark.parametrize(("model", "is_batched"), [("tiny", False), ("tiny.ensemble", True)])
def test_one_process_that_reads_images_fills_batches_of_the_graph(
    model: str, is_batched: bool, ensembles: TritonServer
) -> None:
    """The model that takes an image waits for the graph; the ensemble's reads the next image."""
    before = counts(ensembles, "tiny.tensors")
    with ThreadPoolExecutor(4) as callers:
        for each in [callers.submit(asked, ensembles, model, {}, {}, "heatmap") for _ in range(4)]:
            each.result()
    runs, images = (now - then for now, then in zip(counts(ensembles, "tiny.tensors"), before, strict=True))
    assert images == 4
    assert (runs < images) == is_batched


def counts(server: TritonServer, model: str) -> tuple[int, int]:
    """How often the newest version of a model has run, and for how many images, once that no longer changes.

    Triton answers a call first and counts its runs then.
    """
    seen: list[tuple[int, int]] = []
    with client.InferenceServerClient(server.grpc) as opened:
        while len(seen) < STEADY or len(set(seen[-STEADY:])) > 1:
            newest = opened.get_inference_statistics(model).model_stats[-1]
            seen.append((newest.execution_count, newest.inference_count))
            time.sleep(0.1)
    return seen[-1]


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({"image": np.array([b"text"], object)}, "in ensemble 'tiny.ensemble', .*not an image"),
        ({"target_index": np.array([99])}, "in ensemble 'tiny.ensemble', .*99"),
    ],
)
def test_what_cannot_be_asked_is_said_by_the_step_that_sees_it(
    inputs: dict[str, np.ndarray], words: str, ensembles: TritonServer
) -> None:
    with pytest.raises(InferenceServerException, match=words) as caught:
        asked(ensembles, "tiny.ensemble", inputs, {}, "heatmap")
    assert caught.value.status() == "StatusCode.INVALID_ARGUMENT"
