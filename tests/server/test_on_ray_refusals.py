"""What a replica of Ray Serve refuses before the service sees it, without Ray: it gives no more than a context."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from types import ModuleType, SimpleNamespace
from typing import Any

import grpc
import pytest

from camgraph.v1 import explanation_pb2 as pb
from camgraph_server.config import ServerConfig
from support.serving import png

TOKEN = "0123456789abcdef0123"
KNOWN = (("authorization", f"Bearer {TOKEN}"),)
SMALL = pb.ExplainRequest(image=pb.EncodedImage(data=png()))
LARGE = pb.ExplainRequest(image=pb.EncodedImage(data=bytes(2 << 20)))


class Context:
    """What Ray gives with a call."""

    def __init__(self, metadata: tuple[tuple[str, str], ...]) -> None:
        self.metadata = metadata
        self.code: grpc.StatusCode | None = None
        self.details = ""

    def peer(self) -> str:
        return "ipv4:127.0.0.1:40000"

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        return self.metadata

    def set_code(self, code: grpc.StatusCode) -> None:
        self.code = code

    def set_details(self, details: str) -> None:
        self.details = details

    def set_trailing_metadata(self, _: Any) -> None:
        pass


@pytest.fixture
async def replica(repository, tmp_path, monkeypatch):
    ray = ModuleType("ray")
    ray.serve = SimpleNamespace(deployment=None)
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.delitem(sys.modules, "camgraph_server.on_ray", raising=False)
    from camgraph_server.on_ray import Replica  # noqa: PLC0415 - it imports Ray

    monkeypatch.setattr("camgraph_server.on_ray.configure_logging", lambda *_: None)
    clients = tmp_path / "clients.toml"
    clients.write_text(f"[clients.clinic]\ntokens = ['{TOKEN}']\ncalls-at-once = 2", encoding="utf-8")
    made = Replica.__new__(Replica)
    await made.__init__(ServerConfig(repository, clients=clients, max_request_mib=1, trial_load=False))
    yield made
    made._parts.stop_loading()
    made._parts.close(1.0)
    await made._parts.observers.stop()
    await made._parts.security.stop()


@pytest.mark.parametrize("rpc", ["Explain", "ExplainStream", "ExplainChunked", "ListModels", "GetModel"])
async def test_who_is_not_known_is_refused(rpc, replica):
    context = Context(())
    await answered(replica, rpc, SMALL, context)
    assert context.code is grpc.StatusCode.UNAUTHENTICATED
    assert "does not know you" in context.details


@pytest.mark.parametrize("rpc", ["Explain", "ExplainChunked"])
async def test_what_is_too_large_is_refused_and_the_rest_is_answered(rpc, replica):
    context = Context(KNOWN)
    await answered(replica, rpc, LARGE, context)
    assert context.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    context = Context(KNOWN)
    assert (await answered(replica, rpc, SMALL, context))[0]
    assert context.code is None


async def test_a_stream_is_opened_and_what_is_too_large_does_not_end_it(replica):
    context = Context(KNOWN)
    answers = await answered(replica, "ExplainStream", (SMALL, LARGE, SMALL), context)
    opened, *outcomes = map(pb.ExplainStreamResponse.FromString, answers)
    assert opened == pb.ExplainStreamResponse()
    assert [outcome.WhichOneof("outcome") for outcome in outcomes] == ["response", "error", "response"]
    assert [outcome.id for outcome in outcomes] == ["0", "", "2"]
    assert outcomes[1].error.status == "RESOURCE_EXHAUSTED"
    assert context.code is None


async def test_a_stream_that_its_caller_leaves_takes_nothing_any_more(replica):
    sent = []

    async def requests():
        for number in range(100):
            sent.append(number)
            yield pb.ExplainStreamRequest(id=str(number), request=SMALL)

    stream = replica.ExplainStream(requests(), Context(KNOWN))
    await anext(stream)
    await anext(stream)
    await stream.aclose()
    assert len(sent) < 50
    assert replica._parts.budgets["requests"].held == replica._parts.budgets["answers"].held == 0


async def test_a_client_has_no_more_calls_than_it_may(replica):
    """The limit of calls at once is that of the clients file."""
    contexts = [Context(KNOWN) for _ in range(3)]
    await asyncio.gather(*(answered(replica, "Explain", SMALL, context) for context in contexts))
    assert sorted(str(context.code) for context in contexts) == ["None", "None", "StatusCode.RESOURCE_EXHAUSTED"]


async def answered(replica: Any, rpc: str, asked: Any, context: Context) -> list[bytes]:
    messages = {
        "ListModels": pb.ListModelsRequest(),
        "GetModel": pb.GetModelRequest(),
        "Explain": asked,
        "ExplainChunked": pb.ExplainChunkedRequest(request=asked) if rpc == "ExplainChunked" else None,
        "ExplainStream": _each(asked),
    }
    answer = getattr(replica, rpc)(messages[rpc], context)
    pieces = [piece async for piece in answer] if isinstance(answer, AsyncIterator) else [await answer]
    return [piece.SerializeToString() for piece in pieces]


async def _each(asked: Any) -> AsyncIterator[pb.ExplainStreamRequest]:
    for number, request in enumerate(asked):
        yield pb.ExplainStreamRequest(id=str(number), request=request)
