"""Calls that run together: each gets the answer that it gets alone, and one that cannot be answered fails alone."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from camgraph.v1 import explanation_pb2 as pb
from camgraph.v1.explanation_pb2_grpc import ExplanationServiceStub
from camgraph_core.errors import UsageError
from camgraph_runtime import Explainer
from camgraph_runtime.run.providers import CPU, CUDA
from camgraph_server.config import ServerConfig
from camgraph_server.models.batching import batching_on
from camgraph_server.models.loading import load_explainer
from support.serving import PATIENCE, png, running_server

CALLS = 4
SECONDS = 0.5  # that a batch waits for the calls of a test


class Recorder:
    """Loads a model as the server does, and remembers the number of images of each run of its graph."""

    def __init__(self, **settings: Any) -> None:
        self.settings = settings
        self.batches: list[int] = []
        self.provider = ""

    def __call__(self, path: Path) -> Explainer:
        explainer = load_explainer(ServerConfig(path.parent, **self.settings), path)
        run, name = explainer.engine.run, explainer.manifest.input.tensor.name

        def recorded(feeds: Any, *more: Any) -> Any:
            self.batches.append(len(feeds[name]))
            return run(feeds, *more)

        self.provider = explainer.engine.execution_provider
        explainer.engine.run = recorded  # type: ignore[method-assign]  # what runs is watched, not changed
        return explainer


def request(number: int) -> pb.ExplainRequest:
    return pb.ExplainRequest(
        image=pb.EncodedImage(data=png(seed=number)),
        targets=[pb.Target(class_index=number % 5)],
        outputs=[pb.OUTPUT_KIND_HEATMAP],
    )


def heatmap(response: pb.ExplainResponse) -> np.ndarray:
    tensor = response.explanations[0].outputs[0].tensor
    return np.frombuffer(tensor.data, tensor.dtype).reshape(tuple(tensor.shape))


async def test_calls_that_run_together_get_what_they_get_alone(connect, repository) -> None:
    settings = {"max_batch_size": CALLS, "max_queue_delay": SECONDS}
    recorder = Recorder(**settings)
    async with running_server(repository, recorder, **settings, workers=2 * CALLS) as server:
        stub = ExplanationServiceStub(connect(server.address))
        together = await asyncio.gather(*(stub.Explain(request(number), timeout=PATIENCE) for number in range(CALLS)))
        assert recorder.batches == [CALLS]
    async with running_server(repository) as server:
        stub = ExplanationServiceStub(connect(server.address))
        for number, response in enumerate(together):
            alone = await stub.Explain(request(number), timeout=PATIENCE)
            np.testing.assert_allclose(heatmap(response), heatmap(alone), rtol=1e-5, atol=1e-6)
            assert response.explanations[0].target.class_index == number % 5


async def test_a_call_that_cannot_be_answered_fails_alone(connect, repository) -> None:
    settings = {"max_batch_size": CALLS, "max_queue_delay": SECONDS}
    async with running_server(repository, Recorder(**settings), **settings, workers=2 * CALLS) as server:
        stub = ExplanationServiceStub(connect(server.address))
        odd = pb.Tensor(dtype="float64", shape=[1, 3, 16, 16], data=np.zeros((3, 16, 16)).tobytes())
        calls = [stub.Explain(pb.ExplainRequest(tensor=odd), timeout=PATIENCE)]
        calls += [stub.Explain(request(number), timeout=PATIENCE) for number in range(CALLS - 1)]
        bad, *good = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(bad, grpc.aio.AioRpcError)
    assert bad.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert all(isinstance(response, pb.ExplainResponse) for response in good)


async def test_each_size_of_batch_has_run_before_a_model_is_ready(repository, monkeypatch) -> None:
    sizes: list[int] = []
    infer = Explainer.infer

    def recorded(self: Explainer, images: Any, *more: Any) -> Any:
        sizes.append(len(images))
        return infer(self, images, *more)

    monkeypatch.setattr(Explainer, "infer", recorded)
    async with running_server(repository, max_batch_size=8, batch_buckets=(2, 4)):
        assert sizes == [2, 4, 8]


@pytest.mark.parametrize(
    ("settings", "provider", "sizes"),
    [
        ({}, CPU, None),
        ({}, CUDA, (1, 2, 4, 8, 16)),
        ({}, "TensorrtExecutionProvider", None),
        ({"max_batch_size": 1}, CUDA, None),
        ({"max_batch_size": 4}, CPU, (1, 2, 4)),
        ({"batch_buckets": (4, 16)}, CUDA, (4, 16)),
        ({"batch_buckets": (4, 16)}, CPU, None),
    ],
)
def test_batches_are_run_where_they_pay(tmp_path, settings, provider, sizes) -> None:
    batching = batching_on(ServerConfig(tmp_path, **settings), provider)
    assert (batching and batching.sizes) == sizes


@pytest.mark.parametrize(
    "settings",
    [
        {"max_batch_size": -1},
        {"max_queue_delay": -1.0},
        {"batch_buckets": (0,)},
        {"max_batch_size": 4, "batch_buckets": (8,)},
    ],
)
def test_settings_that_cannot_be(tmp_path, settings) -> None:
    with pytest.raises(UsageError, match="must be"):
        ServerConfig(tmp_path, **settings)
