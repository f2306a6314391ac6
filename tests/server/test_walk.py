"""The way of a request: read once at the wire, straight down, and its result comes back once."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from types import FunctionType

from camgraph.v1 import explanation_pb2 as pb
from camgraph.v1.explanation_pb2_grpc import ExplanationServiceStub
from camgraph_server.models import explaining
from camgraph_server.transport.refusal import shortened
from support.serving import PATIENCE, png, running_server
from support.walk import ROOMS, Walk, recorded

PAGE = Path(__file__).resolve().parents[2] / "docs" / "server.md"


async def walk_of_one_call(repository: Path, connect) -> Walk:
    request = pb.ExplainRequest(image=pb.EncodedImage(data=png()), outputs=[pb.OUTPUT_KIND_OVERLAY_PNG])
    with recorded() as walk:
        async with running_server(repository, workers=1) as server:
            walk.calls.clear()
            await ExplanationServiceStub(connect(server.address)).Explain(request, timeout=PATIENCE)
            while server.parts.gate.in_flight:
                await asyncio.sleep(0.01)
            calls = list(walk.calls)
    walk.calls[:] = calls
    return walk


async def test_a_request_goes_straight_down_as_the_page_says(repository, connect):
    walk = await walk_of_one_call(repository, connect)
    written = re.findall(r"^\| \d+ +\| (\w+) +\| `([\w.]+)` ", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    walked = [(step.room, step.function.replace("<locals>.", "")) for step in walk.entries]
    assert walked == written
    assert len(set(walked)) == len(walked)
    assert {room for room, _ in walked} == set(ROOMS)
    assert walk.climbs == []


async def test_a_room_that_calls_one_above_it_is_seen(repository, connect, monkeypatch):
    def asks_above(_):
        shortened("a call from the models into the transport")
        return 0

    guest = FunctionType(asks_above.__code__, {"__name__": "camgraph_server.models.guest", "shortened": shortened})
    monkeypatch.setattr(explaining, "_size", guest)
    walk = await walk_of_one_call(repository, connect)
    assert [(step.caller, step.room, step.function) for step in walk.climbs] == [("models", "transport", "shortened")]
