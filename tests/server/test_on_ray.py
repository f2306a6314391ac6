"""The service on Ray Serve by deploy/ray-serve.yaml, behind HAProxy: no call fails when a replica is killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from camgraph_client import Client, Connection
from camgraph_core.errors import CamgraphError, InvalidInputError, NotFoundError
from camgraph_runtime import Explainer, Threads
from support.callers import calling
from support.peers import Peer
from support.serving import png
from support.serving_on_ray import PATIENCE, replicas, serving, streaming, wait_for


@pytest.mark.timeout(400)
def test_the_service_answers_and_no_call_fails_when_a_replica_is_killed(
    peer: Callable[[str], Peer], tmp_path: Path
) -> None:
    others = set(replicas())
    with serving(peer("ray"), tmp_path) as address:
        ours = set(replicas()) - others
        assert len(ours) == 2
        _check_answers(address, tmp_path / "models/tiny/1/model.onnx")
        with calling(address, 4) as calls, streaming(address) as stream:
            calls.wait_for(20)
            for replica in ours:  # so that of the stream is among them
                os.kill(replica, signal.SIGKILL)
                calls.wait_for(40)
                wait_for(lambda: len(set(replicas()) - others) == 2)
                stream.wait_for(20)
        assert calls.failed == stream.failed == []


def _check_answers(address: str, model: Path) -> None:
    """Each call gives what it gives without Ray, and each error is the one of its kind."""
    wanted = Explainer(model, threads=Threads(intra_op=1)).explain(png()).explanations[0].heatmap
    with Client(Connection(address, timeout=PATIENCE)) as client:
        assert [model.name for model in client.list_models()] == ["tiny"]
        assert client.get_model("tiny").info.state == "ready"
        for chunked in (False, True):
            [explanation] = client.model(chunked=chunked).explain(png()).explanations
            assert np.array_equal(explanation.heatmap, wanted)
        results = [outcome.result for outcome in client.model().explain_many([png()] * 5)]
        assert all(np.array_equal(result.explanations[0].heatmap, wanted) for result in results)
        assert len(results) == 5
        refused: list[tuple[type[CamgraphError], Callable[[], object]]] = [
            (NotFoundError, lambda: client.model("gone").explain(png())),
            (InvalidInputError, lambda: client.model().explain(b"not a picture")),
            (NotFoundError, lambda: client.model("gone", chunked=True).explain(png())),
        ]
        for kind, call in refused:
            with pytest.raises(kind):
                call()
