"""Callers that leave: whenever they do, their call ends as one that was given up, and is no error of the server."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest

from camgraph.v1 import explanation_pb2 as pb
from camgraph_server.lifecycle import Server
from support.http2 import Http2
from support.serving import PATIENCE, blank_png, png, running_server

LARGE = pb.ExplainRequest(image=pb.EncodedImage(data=blank_png(1200, 1000)))  # 5 MB of heatmap
SMALL = pb.ExplainRequest(image=pb.EncodedImage(data=png()), outputs=[pb.OUTPUT_KIND_RAW_MAP])
SERVICE = "/camgraph.v1.ExplanationService/"
RESET = Http2.frame(3, 0, 1, (8).to_bytes(4, "big"))  # RST_STREAM, CANCEL


@dataclass
class Case:
    """What a caller sends before it leaves, and how far its call, or an item of its stream, has come by then."""

    method: str
    message: bytes
    lacks: int = 0  # bytes of the message that it does not send
    ends: bool = True
    stage: str | None = "write"
    items: int | None = None


CASES = {
    "its answer is written": Case(f"{SERVICE}Explain", LARGE.SerializeToString()),
    "pieces of its answer are written": Case(
        f"{SERVICE}ExplainChunked", pb.ExplainChunkedRequest(request=LARGE).SerializeToString()
    ),
    "an answer of its stream is written": Case(
        f"{SERVICE}ExplainStream", pb.ExplainStreamRequest(request=LARGE).SerializeToString(), ends=False
    ),
    "its request arrives": Case(f"{SERVICE}Explain", SMALL.SerializeToString(), lacks=1, ends=False, stage="receive"),
    "its stream rests": Case(
        f"{SERVICE}ExplainStream",
        pb.ExplainStreamRequest(request=SMALL).SerializeToString(),
        ends=False,
        stage=None,
        items=1,
    ),
    "it watches": Case("/grpc.health.v1.Health/Watch", b"", stage=None),
}


async def left(server: Server, case: Case, how: str) -> None:
    """Makes a call, waits until it is where it should be, and leaves."""
    live = server.parts.observers.live
    client = await Http2.call(
        server.address,
        case.message,
        len(case.message) + 5 - case.lacks,
        method=case.method,
        ends=case.ends,
        timeout="1S" if how == "its deadline" else None,
    )
    async with asyncio.timeout(PATIENCE):
        while not [call for call in live if (call.stage, call.items) == (case.stage, case.items)]:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        match how:
            case "its connection closes":
                client.writer.transport.abort()
            case "it resets its stream":
                client.writer.write(RESET)
        while live:
            await asyncio.sleep(0.01)
    await client.close()


@pytest.mark.parametrize("how", ["its connection closes", "it resets its stream", "its deadline"])
@pytest.mark.parametrize("when", CASES)
async def test_a_caller_that_leaves_is_no_error(when, how, repository, caplog):
    caplog.set_level("INFO")
    async with running_server(repository) as server:
        await left(server, CASES[when], how)
        assert not server.parts.gate.in_flight
        assert not any(budget.held for budget in server.parts.budgets.values())
    [call] = [record.camgraph_facts for record in caplog.records if record.getMessage() == "call"]
    assert call["status"] == ("DEADLINE_EXCEEDED" if how == "its deadline" else "CANCELLED")
    assert "reason" not in call
    assert call.get("sent", 0) < 1_000_000
    assert not [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
