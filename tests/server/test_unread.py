"""Answers that their callers do not read: their memory comes back, and others do not go without."""

from __future__ import annotations

import asyncio

import grpc

from camgraph.v1 import explanation_pb2 as pb
from camgraph.v1.explanation_pb2_grpc import ExplanationServiceStub
from camgraph_server.lifecycle import Server
from support.http2 import Http2
from support.serving import PATIENCE, blank_png, png, running_server

LARGE = pb.ExplainRequest(image=pb.EncodedImage(data=blank_png(1200, 1000))).SerializeToString()  # 5 MB of heatmap
RAW_MAP = pb.ExplainRequest(image=pb.EncodedImage(data=png()), outputs=[pb.OUTPUT_KIND_RAW_MAP])


async def until(condition) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.02)


async def silent_client(server: Server) -> Http2:
    """Asks for a large answer, and reads none of it."""
    client = await Http2.call(server.address, LARGE, len(LARGE) + 5)
    client.writer.transport.pause_reading()
    return client


async def test_an_answer_that_is_not_read_loses_its_connection(repository, connect, caplog):
    caplog.set_level("INFO")
    async with running_server(repository, write_timeout=0.3) as server:
        answers = server.parts.budgets["answers"]
        client = await silent_client(server)
        await until(lambda: answers.held)
        await until(lambda: not answers.held and not server.parts.gate.in_flight)
        stub = ExplanationServiceStub(connect(server.address))
        assert (await stub.Explain(RAW_MAP, timeout=PATIENCE)).predictions
        client.writer.transport.resume_reading()
        async with asyncio.timeout(PATIENCE):
            while await client.reader.read(65536):  # what was under way; then the connection ends
                pass
        await client.close()
    ends = [record.camgraph_facts for record in caplog.records if record.getMessage() == "call"]
    assert [(end["status"], "was not read" in end.get("reason", "")) for end in ends] == [
        ("DEADLINE_EXCEEDED", True),
        ("OK", False),
    ]
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def test_who_does_not_read_gives_way_to_others(repository, connect, monkeypatch):
    monkeypatch.setattr("camgraph_server.transport.sending.IN_NEED", 0.2)
    async with running_server(repository, max_memory_mib=96, max_response_mib=8) as server:
        clients = [await silent_client(server) for _ in range(4)]
        answers = server.parts.budgets["answers"]
        await until(lambda: answers.held > answers.size // 2)
        stub = ExplanationServiceStub(connect(server.address))
        large = pb.ExplainRequest.FromString(LARGE)
        await until_answered(stub, large)
        for client in clients:
            await client.close()


async def until_answered(stub: ExplanationServiceStub, request: pb.ExplainRequest) -> None:
    """Sends a request again while it is refused."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                assert (await stub.Explain(request, timeout=PATIENCE)).predictions
            except grpc.RpcError as error:
                if error.code() is not grpc.StatusCode.UNAVAILABLE:
                    raise
                await asyncio.sleep(0.1)
            else:
                return
