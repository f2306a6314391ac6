"""One record for each call, whatever its end; and observers that fail harm nobody."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import grpc
import pytest

from camgraph.v1 import explanation_pb2 as pb
from camgraph.v1.explanation_pb2_grpc import ExplanationServiceStub
from camgraph_server.assembly import Assembly
from camgraph_server.budget import Budget, Share
from camgraph_server.call import STAGES, Call
from camgraph_server.lifecycle import Server
from camgraph_server.observe.observers import Observer, Observers
from support.serving import PATIENCE, GatedLoader, png, running_server

EXPLAIN = "/camgraph.v1.ExplanationService/Explain"
SHORT = 0.3


class Recorder(Observer):
    def __init__(self) -> None:
        self.begun: list[Call] = []
        self.explanations: list[Any] = []
        self.calls: list[Call] = []

    def began(self, call: Call) -> None:
        assert call.ended is None
        self.begun.append(call)

    def explained(self, call: Call, explained: Any) -> None:
        assert call.ended is None
        self.explanations += explained.result.explanations

    def ended(self, call: Call) -> None:
        assert call.ended is not None
        self.calls.append(call)


class Faulty(Observer):
    def began(self, *_: Any) -> None:
        raise RuntimeError("began")

    def explained(self, *_: Any) -> None:
        raise RuntimeError("explained")

    def ended(self, *_: Any) -> None:
        raise RuntimeError("ended")


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    recorder = Recorder()
    monkeypatch.setattr(Assembly, "_observers", lambda _: [Faulty(), recorder])
    return recorder


def request(**fields: Any) -> pb.ExplainRequest:
    return pb.ExplainRequest(image=pb.EncodedImage(data=png()), **fields)


@dataclass
class Scene:
    """A server whose graph waits to be released."""

    server: Server
    loader: GatedLoader
    channel: grpc.aio.Channel

    @property
    def stub(self) -> Any:
        return ExplanationServiceStub(self.channel)

    async def over(self) -> None:
        async with asyncio.timeout(PATIENCE):
            while self.server.parts.observers.live:
                await asyncio.sleep(0.01)

    async def answered(self) -> None:
        self.loader.loaded.release.set()
        await self.stub.Explain(request(request_id="mine"), timeout=PATIENCE)

    async def unknown(self) -> None:
        await self.stub.Explain(request(model_name="a" * 50), timeout=PATIENCE)

    async def unusable(self) -> None:
        await self.stub.Explain(pb.ExplainRequest(image=pb.EncodedImage(data=b"no picture")), timeout=PATIENCE)

    async def malformed(self) -> None:
        await self.channel.unary_unary(EXPLAIN)(b"\xff", timeout=PATIENCE)

    async def stopping(self) -> None:
        self.server.parts.gate.close()
        await self.stub.Explain(request(), timeout=PATIENCE)

    async def given_up(self) -> None:
        call = self.stub.Explain(request(), timeout=PATIENCE)
        running = asyncio.ensure_future(_finished(call))
        await asyncio.to_thread(self.loader.loaded.wait_entered)
        call.cancel()
        await running
        await self.over()
        self.loader.loaded.release.set()

    async def expired(self) -> None:
        await asyncio.gather(self.stub.Explain(request(), timeout=SHORT), return_exceptions=True)
        await self.over()
        self.loader.loaded.release.set()

    async def failing(self) -> None:
        self.loader.loaded.finish = lambda *_: 1 / 0  # type: ignore[method-assign, assignment, return-value]  # broken
        await self.answered()


async def _finished(call: Any) -> None:
    with contextlib.suppress(asyncio.CancelledError):
        await call


ENDS: list[tuple[Callable[[Scene], Awaitable[None]], str, str | None, bool]] = [
    (Scene.answered, "OK", "write", True),
    (Scene.unknown, "NOT_FOUND", "decode", False),
    (Scene.unusable, "INVALID_ARGUMENT", "prepare", True),
    (Scene.malformed, "INVALID_ARGUMENT", "decode", False),
    (Scene.stopping, "UNAVAILABLE", None, False),
    (Scene.given_up, "CANCELLED", "infer", True),
    (Scene.expired, "DEADLINE_EXCEEDED", "infer", True),
    (Scene.failing, "INTERNAL", "post", True),
]


@pytest.mark.parametrize(("play", "status", "stage", "found"), ENDS, ids=[row[0].__name__ for row in ENDS])
async def test_one_record_whatever_the_end(recorder, connect, repository, play, status, stage, found):
    loader = GatedLoader()
    async with running_server(repository, loader, workers=1) as server:
        scene = Scene(server, loader, connect(server.address))
        with contextlib.suppress(grpc.RpcError):
            await play(scene)
        await scene.over()
    [call] = recorder.calls
    assert recorder.begun == [call]
    spans = call.spans()
    assert (call.service, call.rpc, call.status) == ("camgraph.v1.ExplanationService", "Explain", status)
    assert (spans[-1][0] if spans else None) == stage
    assert (call.version is not None) is found
    assert len(recorder.explanations) == (status == "OK")
    assert (call.reason is None) == (status in {"OK", "CANCELLED", "DEADLINE_EXCEEDED"})


async def test_stages_follow_one_another_without_a_gap(recorder, connect, repository):
    async with running_server(repository) as server:
        metadata = (("traceparent", "00-" + "1" * 32 + "-" + "2" * 16 + "-01"), ("secret", "x"))
        await ExplanationServiceStub(connect(server.address)).Explain(request(), metadata=metadata, timeout=PATIENCE)
    [call] = recorder.calls
    spans = call.spans()
    assert tuple(stage for stage, _, _ in spans) == STAGES
    assert all(end == begin for (_, _, end), (_, begin, _) in pairwise(spans))
    assert call.started <= spans[0][1]
    assert spans[-1][2] == call.ended
    assert call.trace == dict(metadata[:1])


def test_what_a_worker_does_after_the_end_is_no_stage():
    with Observers([]).watching(Call("service", "Explain", "peer", "caller", None, Share(Budget(1)))) as call:
        call.enter("receive")
    call.enter("post")
    assert [stage for stage, _, _ in call.spans()] == ["receive"]
