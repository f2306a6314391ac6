"""The server on a real GPU: batches, reloads, and what it says of the device."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np

from camgraph.v1 import explanation_pb2 as pb
from camgraph.v1.explanation_pb2_grpc import ExplanationServiceStub
from camgraph_runtime.run.providers import CUDA
from server.test_batched_calls import Recorder, heatmap, request
from support import cuda
from support.serving import PATIENCE, running_server

cuda.needed()

CALLS = 16


async def test_calls_that_run_together_get_what_they_get_alone_on_the_cpu(connect, repository) -> None:
    settings = {"device": "cuda", "max_queue_delay": 0.5, "workers": 2 * CALLS}
    recorder = Recorder(**settings)
    async with running_server(repository, recorder, **settings) as server:
        stub = ExplanationServiceStub(connect(server.address))
        together = await asyncio.gather(*(stub.Explain(request(number), timeout=PATIENCE) for number in range(CALLS)))
        assert recorder.batches[-1] == CALLS
        assert recorder.provider == CUDA
    async with running_server(repository) as server:
        stub = ExplanationServiceStub(connect(server.address))
        for number, response in enumerate(together):
            alone = await stub.Explain(request(number), timeout=PATIENCE)
            np.testing.assert_allclose(heatmap(response), heatmap(alone), rtol=1e-4, atol=1e-5)


async def test_a_call_with_a_bad_target_fails_alone(connect, repository: Path) -> None:
    settings = {"device": "cuda", "max_queue_delay": 0.5, "workers": 2 * CALLS}
    async with running_server(repository, **settings) as server:
        stub = ExplanationServiceStub(connect(server.address))
        odd = request(0)
        odd.targets[0].CopyFrom(pb.Target(class_index=99))
        calls = [stub.Explain(odd, timeout=PATIENCE), *(stub.Explain(request(n), timeout=PATIENCE) for n in range(3))]
        bad, *good = await asyncio.gather(*calls, return_exceptions=True)
    assert "INVALID_ARGUMENT" in str(bad)
    assert all(isinstance(response, pb.ExplainResponse) for response in good)
