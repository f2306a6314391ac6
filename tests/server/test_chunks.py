"""`ExplainChunked`: answers of any size in small pieces, through both faces of the client."""

from __future__ import annotations

import asyncio
import tracemalloc

import grpc
import numpy as np
import pytest

from camgraph.v1 import explanation_pb2 as pb
from camgraph.v1.explanation_pb2_grpc import ExplanationServiceStub
from camgraph_client import AsyncClient, Client
from camgraph_core.errors import RemoteError, TargetError, TooLargeError
from camgraph_runtime import Target
from camgraph_wire.chunks import CHUNK, Assembled
from support.compare import assert_same
from support.serving import PATIENCE, blank_png, png, running_server, server_thread

EVERY = [
    "heatmap",
    "heatmap-png",
    "overlay-png",
    "overlay-jpeg",
    "raw-map",
    "input-heatmap",
    "weights",
    "activations",
    "hot-regions",
]
LARGE = pb.ExplainRequest(image=pb.EncodedImage(data=blank_png(2000, 1500)), outputs=[pb.OUTPUT_KIND_HEATMAP], top_k=2)


@pytest.fixture(params=["sync", "async"])
def explain(request):
    async def through_async(address, chunked, image, options):
        async with AsyncClient(address) as client:
            return await client.model(chunked=chunked).explain(image, **options)

    def run(address, image, *, chunked, **options):
        if request.param == "async":
            return asyncio.run(through_async(address, chunked, image, options))
        with Client(address) as client:
            return client.model(chunked=chunked).explain(image, **options)

    return run


def test_an_answer_in_pieces_is_the_answer(explain, repository):
    options = {"targets": [Target.of_label("dog"), Target.index(0)], "top_k": 1, "outputs": EVERY}
    with server_thread(repository) as server:
        whole = explain(server.address, png(900, 700), chunked=False, **options)
        pieces = explain(server.address, png(900, 700), chunked=True, **options)
    assert_same(pieces, whole, EVERY)


def test_an_answer_larger_than_any_message_comes_whole(explain, repository):
    with server_thread(repository, max_response_mib=4) as server:
        with pytest.raises(TooLargeError):
            explain(server.address, blank_png(2000, 1500), chunked=False)
        result = explain(server.address, blank_png(2000, 1500), chunked=True)
    assert result.explanations[0].heatmap.shape == (1500, 2000)
    assert np.isfinite(result.explanations[0].heatmap).all()


def test_errors_are_those_of_a_call(explain, repository):
    with server_thread(repository) as server, pytest.raises(TargetError, match="99"):
        explain(server.address, png(), chunked=True, targets=[Target.index(99)])


async def test_a_slow_reader_gets_everything_and_the_server_holds_one_copy_and_gives_it_back(repository, connect):
    async with running_server(repository, max_memory_mib=256) as server:
        call = ExplanationServiceStub(connect(server.address)).ExplainChunked(
            pb.ExplainChunkedRequest(request=LARGE), timeout=PATIENCE
        )
        assembled, largest = Assembled(), 0
        while (piece := await call.read()) is not grpc.aio.EOF:
            assembled.add(piece)
            largest = max(largest, piece.ByteSize())
            held = server.parts.budgets["answers"].held
            assert held <= 2 * 2000 * 1500 * 4
            await asyncio.sleep(0.02)
        assert largest < CHUNK + 1000
        assert [len(data) for data in assembled.apart.values()] == [2000 * 1500 * 4] * 2
        assert len(assembled.finished().explanations) == 2
        while server.parts.gate.in_flight:
            await asyncio.sleep(0.02)
        assert not any(budget.held for budget in server.parts.budgets.values())


async def test_a_caller_that_leaves_in_the_middle_frees_all(repository, connect):
    async with running_server(repository) as server:
        stub = ExplanationServiceStub(connect(server.address))
        call = stub.ExplainChunked(pb.ExplainChunkedRequest(request=LARGE), timeout=PATIENCE)
        await call.read()
        call.cancel()
        async with asyncio.timeout(PATIENCE):
            while server.parts.gate.in_flight:
                await asyncio.sleep(0.02)
        assert not any(budget.held for budget in server.parts.budgets.values())


async def test_more_than_the_memory_for_answers_allows_is_refused(repository, connect):
    async with running_server(repository, max_memory_mib=64) as server:
        stub = ExplanationServiceStub(connect(server.address))
        with pytest.raises(grpc.aio.AioRpcError, match="more than the limit of 8 MiB") as caught:
            await stub.ExplainChunked(pb.ExplainChunkedRequest(request=LARGE), timeout=PATIENCE).read()
        assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


def output(data: bytes, size: int, place: int = 0) -> pb.ExplainChunkedResponse:
    return pb.ExplainChunkedResponse(output=pb.OutputPiece(output=place, size=size, data=data))


HEAD = pb.ExplainChunkedResponse(head=pb.ExplainResponse(explanations=[pb.Explanation(outputs=[pb.Output()] * 2)]))


@pytest.mark.parametrize(
    ("pieces", "problem"),
    [
        ([], "before it began"),
        ([HEAD, output(b"ab", 3)], "in the middle"),
        ([HEAD, output(b"ab", 3), output(b"c", 1, place=1)], "in the middle"),
        ([HEAD, output(b"ab", 3), output(b"cd", 3)], "more bytes"),
        ([HEAD, output(b"a", 1), output(b"b", 1, place=1), output(b"", 1)], "behind those of another"),
        ([HEAD, output(b"a", 1, place=2)], "did not announce"),
        ([HEAD, pb.ExplainChunkedResponse(output=pb.OutputPiece(explanation=1))], "did not announce"),
        ([HEAD, HEAD], "began twice"),
        ([output(b"ab", 2), HEAD], "before it began"),
    ],
)
def test_pieces_that_do_not_fit_are_no_answer(pieces, problem):
    def assemble():
        assembled = Assembled()
        for piece in pieces:
            assembled.add(piece)
        assembled.finished()

    with pytest.raises(RemoteError, match=problem):
        assemble()


def test_a_size_that_is_announced_takes_no_memory_before_its_bytes_come():
    assembled = Assembled()
    assembled.add(HEAD)
    tracemalloc.start()
    try:
        assembled.add(output(b"a", 2**63))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2**20
    with pytest.raises(RemoteError, match="in the middle"):
        assembled.finished()
