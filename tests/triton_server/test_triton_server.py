"""A real Triton with the repository that camgraph writes gives what this server gives, to one client without change."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc as client
from tritonclient.utils import InferenceServerException

from support.serving import png
from support.tasks import TASKS
from support.triton_server import TritonServer

TENSOR = np.random.default_rng(3).random((2, 3, 16, 16), np.float32)
TARGETS = np.array([[0, -1], [4, -2]], np.int64)
PICTURES = ("heatmap-png", "overlay-png", "overlay-jpeg")
MAPS = ("heatmap", "input-heatmap")
TEXTS = ("statistics", "predictions")
WANTED = (*MAPS, *PICTURES, *TEXTS)


def given(name: str, array: np.ndarray) -> client.InferInput:
    datatypes = {"float32": "FP32", "int64": "INT64", "object": "BYTES", "bool": "BOOL", "uint8": "UINT8"}
    datatype = datatypes[array.dtype.name]
    put = client.InferInput(name, list(array.shape), datatype)
    put.set_data_from_numpy(array)
    return put


def asked(address: str, model: str, inputs: list[client.InferInput], *outputs: str, **more: Any) -> client.InferResult:
    wanted = [client.InferRequestedOutput(name) for name in outputs] or None
    with client.InferenceServerClient(address) as opened:
        return opened.infer(model, inputs, outputs=wanted, client_timeout=60, **more)


EXPLAINED = {
    "the predicted class": ([], {}),
    "classes by index, label and rank": (
        [
            given("target_index", np.array([3, 0])),
            given("target_label", np.array([b"Bird"], object)),
            given("target_rank", np.array([2])),
        ],
        {},
    ),
    "another method, layer and size": (
        [],
        {"method": "grad-cam++", "layer": "conv", "max_side": 20, "colormap": "viridis", "opacity": "heat"},
    ),
    "the best three": ([], {"top_k": 3, "num_predictions": 4, "nobody_knows": 5}),
}


@pytest.mark.parametrize("case", EXPLAINED)
@pytest.mark.parametrize("model", ["tiny", "switched"])
def test_explanations_are_those_of_this_server(model: str, case: str, triton: TritonServer, camgraph: str) -> None:
    targets, parameters = EXPLAINED[case]
    inputs = [given("image", np.array([png(seed=5)], object)), *targets]
    ours, theirs = (
        asked(address, model, inputs, *WANTED, parameters=parameters, request_id="mine")
        for address in (camgraph, triton.grpc)
    )
    _same_explanations(ours, theirs)
    assert theirs.get_response().id == ours.get_response().id == "mine"


@pytest.mark.parametrize("task", TASKS)
def test_graphs_of_every_task_are_explained_alike(task: str, triton: TritonServer, camgraph: str) -> None:
    """Of a detector the best objects are found by a run of their own."""
    inputs = [given("image", np.array([png(48, 40, seed=5)], object))]
    best = {"top_k": 2} if task in ("detection", "segmentation") else {}
    ours, theirs = (asked(address, task, inputs, *WANTED, parameters=best) for address in (camgraph, triton.grpc))
    explained = 0 if task == "embedding" else 2 if best else 1  # a direction cannot be named here
    assert ours.as_numpy("heatmap").shape[0] == explained
    _same_explanations(ours, theirs)


POLYGON = b'{"label": "cow", "polygon": {"corners": [{"x": 2, "y": 3}, {"x": 30, "y": 4}, {"x": 9, "y": 28}]}}'
MASK = np.zeros((1, 40, 48), np.uint8)
MASK[0, 5:20, 8:30] = 1
NAMED = {
    "a polygon": ("segmentation", [given("target", np.array([POLYGON], object))], {}),
    "a mask": ("segmentation", [given("target_index", np.array([1])), given("mask", MASK)], {}),
    "references": (
        "embedding",
        [given("reference", np.array([png(seed=1), png(seed=2)], object))],
        {"reference_mode": "nearest", "negative": True},
    ),
    "two layers": ("tiny", [], {"layers": "conv,last", "hot_from": 0.3, "image_weight": 0.2}),
}


@pytest.mark.parametrize("case", NAMED)
def test_what_else_can_be_named_is_explained_alike(case: str, triton: TritonServer, camgraph: str) -> None:
    model, more, parameters = NAMED[case]
    inputs = [given("image", np.array([png(48, 40, seed=5)], object)), *more]
    ours, theirs = (
        asked(address, model, inputs, *WANTED, "hot-regions", parameters=parameters)
        for address in (camgraph, triton.grpc)
    )
    assert len(ours.as_numpy("heatmap")) == 1
    _same_explanations(ours, theirs)
    assert len(ours.as_numpy("hot-regions")) == len(theirs.as_numpy("hot-regions")) == 1


def test_distances_to_a_memory_bank_are_those_of_this_server(triton: TritonServer, camgraph: str) -> None:
    inputs, names = [given("image", np.array([png(seed=5)], object))], ("distance", "distance-map", "distance-heatmap")
    ours, theirs = (
        asked(address, "tiny", inputs, *names, "distance-overlay-png") for address in (camgraph, triton.grpc)
    )
    assert ours.as_numpy("distance")[0] > 0
    for name in names:
        np.testing.assert_allclose(theirs.as_numpy(name), ours.as_numpy(name), rtol=1e-5)
    assert theirs.as_numpy("distance-overlay-png")[0] == ours.as_numpy("distance-overlay-png")[0]


def test_without_names_come_the_outputs_that_every_request_has(triton: TritonServer) -> None:
    found = asked(triton.grpc, "tiny", [given("image", np.array([png(seed=5)], object))]).get_response().outputs
    assert {output.name for output in found} == {*WANTED, "hot-regions"}


def _same_explanations(ours: client.InferResult, theirs: client.InferResult) -> None:
    for name in MAPS:
        np.testing.assert_allclose(theirs.as_numpy(name), ours.as_numpy(name), rtol=0, atol=1e-5)
    for name in PICTURES:  # the same code draws them
        assert list(theirs.as_numpy(name)) == list(ours.as_numpy(name))
    for name in TEXTS:
        for one, other in zip(theirs.as_numpy(name), ours.as_numpy(name), strict=True):
            _same_text(json.loads(one), json.loads(other))


def _same_text(one: Any, other: Any) -> None:
    assert one.keys() == other.keys()
    for key, value in one.items():
        if isinstance(value, dict):
            _same_text(value, other[key])
        else:
            assert value == (pytest.approx(other[key], abs=1e-5) if isinstance(value, float) else other[key])


@pytest.mark.parametrize("outputs", [(), ("target_score", "weights")])
def test_tensors_are_those_of_this_server(outputs: tuple[str, ...], triton: TritonServer, camgraph: str) -> None:
    inputs = [given("image", TENSOR), given("target", TARGETS)]
    ours, theirs = (asked(address, "tiny.tensors", inputs, *outputs) for address in (camgraph, triton.grpc))
    names = [output.name for output in ours.get_response().outputs]
    assert {output.name for output in theirs.get_response().outputs} == set(names)
    assert len(names) == (len(outputs) or 10)
    for name in names:
        assert theirs.as_numpy(name).dtype == ours.as_numpy(name).dtype
        np.testing.assert_allclose(theirs.as_numpy(name), ours.as_numpy(name), rtol=1e-5, atol=1e-6)


def test_the_switch_for_gradients_is_on_unless_it_is_sent(triton: TritonServer) -> None:
    inputs = [given("image", TENSOR), given("target", TARGETS)]
    assert np.any(asked(triton.grpc, "switched.tensors", inputs).as_numpy("weights"))
    off = given("explain", np.array([False]))
    assert not np.any(asked(triton.grpc, "switched.tensors", [*inputs, off]).as_numpy("weights"))


def test_labels_of_classes_are_known_to_triton(triton: TritonServer) -> None:
    inputs = [given("image", TENSOR[:1]), given("target", TARGETS[:1])]
    with client.InferenceServerClient(triton.grpc) as opened:
        wanted = [client.InferRequestedOutput("scores", class_count=1)]
        answer = opened.infer("tiny.tensors", inputs, outputs=wanted)
    [text] = answer.as_numpy("scores").ravel()
    assert text.split(b":")[2] in {b"cat", b"dog", b"bird", b"fish", b"horse"}


def test_one_bad_image_does_not_disturb_the_model(triton: TritonServer) -> None:
    for data in (b"text", b"", png()[:200]):
        with pytest.raises(InferenceServerException) as caught:
            asked(triton.grpc, "tiny", [given("image", np.array([data], object))])
        assert caught.value.status() == "StatusCode.INVALID_ARGUMENT"
        assert "Traceback" not in caught.value.message()
    assert asked(triton.grpc, "tiny", [given("image", np.array([png()], object))]).as_numpy("heatmap").shape == (
        1,
        30,
        40,
    )
