"""Requests of the Open Inference Protocol with typed contents, and those that are refused, each in a sentence."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import tritonclient.grpc.aio as triton
from tritonclient.grpc import service_pb2, service_pb2_grpc
from tritonclient.utils import InferenceServerException

from camgraph_core.errors import InvalidInputError
from camgraph_runtime import Explainer
from camgraph_server.lifecycle import Server
from camgraph_wire.json_text import json_from
from camgraph_wire.open_inference import explanation_targets, tensors
from support.open_inference import TARGETS, TENSOR, given, image_input, wanted
from support.serving import PATIENCE, running_server


@pytest.fixture
async def client(server: Server) -> AsyncIterator[triton.InferenceServerClient]:
    async with triton.InferenceServerClient(server.address) as opened:
        yield opened


@pytest.fixture
def raw_stub(server: Server, connect: Any) -> service_pb2_grpc.GRPCInferenceServiceStub:
    return service_pb2_grpc.GRPCInferenceServiceStub(connect(server.address))


@pytest.fixture
def explainer(repository: Path) -> Explainer:
    return Explainer(repository / "tiny" / "1" / "model.onnx")


def typed(**changes: Any) -> service_pb2.ModelInferRequest:
    request = service_pb2.ModelInferRequest(model_name="tiny.tensors")
    image = request.inputs.add(name="image", datatype="FP32", shape=TENSOR.shape)
    image.contents.fp32_contents.extend(TENSOR.ravel())
    target = request.inputs.add(name="target", datatype="INT64", shape=TARGETS.shape)
    target.contents.int64_contents.extend(TARGETS.ravel())
    request.MergeFrom(service_pb2.ModelInferRequest(**changes))
    return request


async def test_typed_contents_are_the_same_as_raw_ones(raw_stub, explainer):
    answer = await raw_stub.ModelInfer(typed(), timeout=PATIENCE)
    scores = np.frombuffer(answer.raw_output_contents[[o.name for o in answer.outputs].index("target_score")], "<f4")
    expected = explainer.engine.run({"image": TENSOR, "target": TARGETS}, ["target_score"])["target_score"]
    np.testing.assert_array_equal(scores, expected.ravel())


def test_typed_contents_are_read_portion_by_portion(monkeypatch):
    """Each holds up all other threads."""
    monkeypatch.setattr(tensors, "_PORTION", 7)
    request = typed()
    np.testing.assert_array_equal(tensors.array_of(request.inputs[0], None, 0), TENSOR)
    request.inputs[0].contents.fp32_contents.pop()
    with pytest.raises(InvalidInputError, match="1535 values"):
        tensors.array_of(request.inputs[0], None, 0)


async def test_targets_as_json_are_not_read_on_the_event_loop(client, monkeypatch):
    """A third of a megabyte of them takes longer than health checks may wait, and is a message of few fields."""
    threads: list[threading.Thread] = []

    def read(*arguments: Any) -> Any:
        threads.append(threading.current_thread())
        return json_from(*arguments)

    monkeypatch.setattr(explanation_targets, "json_from", read)
    await client.infer("tiny", [image_input(), given("target", np.array([b'{"rank": 1}'], object))])
    assert len(threads) == 1
    assert threads[0] is not threading.main_thread()


async def test_raw_and_typed_contents_together_are_refused(raw_stub):
    call = raw_stub.ModelInfer(typed(raw_input_contents=[TENSOR.tobytes(), TARGETS.tobytes()]), timeout=PATIENCE)
    assert await call.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "in one of the two ways" in await call.details()


REFUSED = {
    "an unknown model": ("nothing", [image_input()], {}, "NOT_FOUND", "nothing"),
    "an unknown version": ("tiny", [image_input()], {"model_version": "9"}, "NOT_FOUND", "version '9'"),
    "no image": ("tiny", [given("target_index", np.array([1]))], {}, "INVALID_ARGUMENT", "'image' is missing"),
    "an unknown input": ("tiny", [image_input(), given("x", np.array([1]))], {}, "INVALID_ARGUMENT", "no input 'x'"),
    "an unknown output": ("tiny", [image_input()], {"outputs": wanted("x")}, "INVALID_ARGUMENT", "output 'x'"),
    "no picture": ("tiny", [image_input(b"text")], {}, "INVALID_ARGUMENT", "image"),
    "an image of numbers": ("tiny", [given("image", np.array([1]))], {}, "INVALID_ARGUMENT", "send BYTES"),
    "a parameter of a wrong type": (
        "tiny",
        [image_input()],
        {"parameters": {"max_side": "large"}},
        "INVALID_ARGUMENT",
        "max_side has the wrong type",
    ),
    "an unknown window": (
        "tiny",
        [image_input()],
        {"parameters": {"window": "lungs"}},
        "INVALID_ARGUMENT",
        "Did you mean lung?",
    ),
    "an unknown label": (
        "tiny",
        [image_input(), given("target_label", np.array([b"whale"], object))],
        {},
        "INVALID_ARGUMENT",
        "whale",
    ),
    "a missing target": ("tiny.tensors", [given("image", TENSOR)], {}, "INVALID_ARGUMENT", "'target' is missing"),
    "a tensor of another shape": (
        "tiny.tensors",
        [given("image", TENSOR[:, :2]), given("target", TARGETS)],
        {},
        "INVALID_ARGUMENT",
        "has the shape [2, 2, 16, 16]",
    ),
    "a class that the graph lacks": (
        "tiny.tensors",
        [given("image", TENSOR), given("target", TARGETS + 100)],
        {},
        "INVALID_ARGUMENT",
        "values of its targets",
    ),
    "more targets than are allowed": (
        "tiny",
        [image_input(), given("target_index", np.zeros(101, np.int64))],
        {},
        "INVALID_ARGUMENT",
        "101 targets",
    ),
    "more targets of tensors than are allowed": (
        "tiny.tensors",
        [given("image", TENSOR), given("target", np.zeros((2, 51), np.int64))],
        {},
        "INVALID_ARGUMENT",
        "102 targets",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_what_cannot_be_answered_is_refused_in_a_sentence(case, client):
    model, inputs, options, status, words = REFUSED[case]
    with pytest.raises(InferenceServerException) as caught:
        await client.infer(model, inputs, **options)
    assert caught.value.status() == f"StatusCode.{status}"
    assert words in caught.value.message()


MALFORMED = {
    "a length that is negative": ({"datatype": "FP32", "shape": [-1]}, b"", "not negative"),
    "an unknown datatype": ({"datatype": "FP99", "shape": [1]}, b"1", "known are"),
    "too few bytes": ({"datatype": "FP32", "shape": [2]}, b"1234", "has 4 bytes"),
    "a shape beyond all memory": ({"datatype": "FP32", "shape": [2**62, 2**62]}, b"1234", "has 4 bytes"),
    "a text that ends early": ({"datatype": "BYTES", "shape": [1]}, b"\xff\xff\xff\xffab", "end within a text"),
    "bytes after the texts": ({"datatype": "BYTES", "shape": [1]}, b"\0\0\0\0ab", "longer than its 1 texts"),
    "texts without end": ({"datatype": "BYTES", "shape": [2**40]}, b"", "texts; the limit is 100"),
}


@pytest.mark.parametrize("case", MALFORMED)
async def test_malformed_raw_contents_are_refused(case, raw_stub):
    fields, raw, words = MALFORMED[case]
    request = service_pb2.ModelInferRequest(model_name="tiny", raw_input_contents=[raw])
    request.inputs.add(name="image", **fields)
    call = raw_stub.ModelInfer(request, timeout=PATIENCE)
    assert await call.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert words in await call.details()


@pytest.mark.parametrize("asked", [{"config": "{}"}, {"config": "{}", "files": {"file:1/model.onnx": b"x"}}])
async def test_a_load_that_would_change_the_model_is_refused(asked, repository):
    async with running_server(repository, model_control=True) as server:  # noqa: SIM117 - it needs the address
        async with triton.InferenceServerClient(server.address) as client:
            with pytest.raises(InferenceServerException, match="leave config") as caught:
                await client.load_model("tiny", **asked)
            assert caught.value.status() == "StatusCode.UNIMPLEMENTED"


async def test_that_there_is_no_such_model_is_said_before_what_else_is_wrong(raw_stub):
    request = service_pb2.ModelInferRequest(model_name="nothing", raw_input_contents=[b"more", b"than inputs"])
    call = raw_stub.ModelInfer(request, timeout=PATIENCE)
    assert await call.code() is grpc.StatusCode.NOT_FOUND
