"""`ExplainStream`: many requests on one call, whose answers come in their order."""

from __future__ import annotations

import asyncio
import json
import signal
from typing import Any

import grpc
import pytest

from camgraph.v1 import explanation_pb2 as pb
from camgraph.v1.explanation_pb2_grpc import ExplanationServiceStub
from camgraph_core.errors import CamgraphError, DeadlineError, InvalidInputError, TargetError
from camgraph_runtime import Explainer
from camgraph_wire.items import MAX_ITEM_KEY, error_of
from support.serving import PATIENCE, GatedLoader, png, running_server, server_process

GOOD = pb.ExplainRequest(image=pb.EncodedImage(data=png()), outputs=[pb.OUTPUT_KIND_RAW_MAP])


def item(name: str, timeout_ms: int | None = None, **fields) -> pb.ExplainStreamRequest:
    request = pb.ExplainRequest()
    request.CopyFrom(GOOD)
    request.MergeFrom(pb.ExplainRequest(**fields))
    return pb.ExplainStreamRequest(id=name, request=request, timeout_ms=timeout_ms)


def raw_stream(channel: grpc.aio.Channel):
    """The call on bytes, for messages that are none."""
    return channel.stream_stream("/camgraph.v1.ExplanationService/ExplainStream")


async def answers_to(stub, requests) -> list[pb.ExplainStreamResponse]:
    return [answer async for answer in stub.ExplainStream(iter(requests), timeout=PATIENCE)]


ODD_ITEMS = {
    "no such target": (item("x", targets=[pb.Target(class_index=99)]), "INVALID_ARGUMENT", TargetError),
    "no such output": (item("x", outputs=[99]), "INVALID_ARGUMENT", InvalidInputError),
    "no such model": (item("x", model_name="other"), "NOT_FOUND", CamgraphError),
    "too many targets": (item("x", targets=[pb.Target()] * 101), "INVALID_ARGUMENT", InvalidInputError),
    "not a picture": (item("x", image=pb.EncodedImage(data=b"nonsense")), "INVALID_ARGUMENT", InvalidInputError),
    "no request": (pb.ExplainStreamRequest(id="x"), "INVALID_ARGUMENT", InvalidInputError),
    "no time": (item("x", timeout_ms=0), "DEADLINE_EXCEEDED", DeadlineError),
    "not a message": (b"\xff\xff\xff", "INVALID_ARGUMENT", InvalidInputError),
    "a long text": (item("y" * 5000), "INVALID_ARGUMENT", InvalidInputError),
}


@pytest.mark.parametrize("name", ODD_ITEMS)
async def test_what_is_wrong_with_one_item_is_its_answer_and_the_stream_goes_on(name, server, connect):
    odd, status, error = ODD_ITEMS[name]
    messages = [item("before").SerializeToString(), odd if isinstance(odd, bytes) else odd.SerializeToString()]
    call = raw_stream(connect(server.address))(iter([*messages, item("after").SerializeToString()]), timeout=PATIENCE)
    before, refused, after = [pb.ExplainStreamResponse.FromString(data) async for data in call]
    assert (before.id, before.WhichOneof("outcome")) == ("before", "response")
    assert (after.id, after.WhichOneof("outcome")) == ("after", "response")
    assert refused.error.status == status
    assert isinstance(error_of(refused.error), error)
    assert refused.id in ("x", "")
    assert await call.code() == grpc.StatusCode.OK


async def test_an_item_is_answered_and_refused_as_a_call_is(stub):
    [answer, refused] = await answers_to(stub, [item("a"), item("b", targets=[pb.Target(class_index=99)])])
    alone = await stub.Explain(GOOD, timeout=PATIENCE)
    answer.response.ClearField("timings")
    alone.ClearField("timings")
    assert answer.response == alone
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.Explain(item("b", targets=[pb.Target(class_index=99)]).request, timeout=PATIENCE)
    assert (refused.error.status, refused.error.message) == (caught.value.code().name, caught.value.details())


async def test_answers_come_in_the_order_of_the_requests_although_later_ones_are_ready_first(repository, connect):
    async with running_server(repository, workers=2) as server:
        large = item("large", outputs=[pb.OUTPUT_KIND_OVERLAY_PNG], image=pb.EncodedImage(data=png(900, 900)))
        sent = [large, *(item(f"small {number}") for number in range(20)), large]
        answers = await answers_to(ExplanationServiceStub(connect(server.address)), sent)
    assert [answer.id for answer in answers] == [message.id for message in sent]
    assert all(answer.WhichOneof("outcome") == "response" for answer in answers)


async def test_a_stream_says_how_large_a_request_may_be_and_a_larger_one_ends_it_alone(repository, connect):
    async with running_server(repository, max_request_mib=1) as server:
        stub = ExplanationServiceStub(connect(server.address))
        other = stub.ExplainStream(timeout=PATIENCE)
        call = stub.ExplainStream(timeout=PATIENCE)
        assert dict(await call.initial_metadata())[MAX_ITEM_KEY] == str(2**20)
        await call.write(item("a", image=pb.EncodedImage(data=bytes(2**20))))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call.read()
        assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        await other.write(item("b"))
        assert (await other.read()).id == "b"
        await other.done_writing()


async def test_no_more_items_are_in_flight_than_allowed(repository, connect):
    loader, taken = GatedLoader(), 0

    async with running_server(repository, loader, workers=2, max_stream_items=3, max_request_mib=1) as server:

        def requests():
            nonlocal taken
            for number in range(200):
                taken = number
                yield item(str(number), image=pb.EncodedImage(data=png(300, 300)))

        call = ExplanationServiceStub(connect(server.address)).ExplainStream(requests(), timeout=PATIENCE)
        await asyncio.to_thread(loader.loaded.wait_entered, 2)
        await asyncio.sleep(1.0)  # what would come has come
        assert server.parts.scheduler.admitted <= 3
        assert server.parts.budgets["requests"].held <= 4 * 400_000
        assert taken < 100  # the others wait in their caller; gRPC's windows take some megabytes
        loader.loaded.release.set()
        answers = [answer.id async for answer in call]
    assert answers == [str(number) for number in range(200)]


async def test_a_stream_waits_where_calls_are_refused(repository, connect):
    async with running_server(repository, workers=1, queue_capacity=0) as server:
        stub = ExplanationServiceStub(connect(server.address))
        streams = [answers_to(stub, [item(str(number)) for number in range(10)]) for _ in range(3)]
        for answers in await asyncio.gather(*streams):
            statuses = [answer.error.status for answer in answers]
            assert statuses.count("") >= 5
            assert set(statuses) <= {"", "UNAVAILABLE"}


async def test_an_item_for_whose_answer_there_is_never_memory_is_given_up_after_five_tries(
    repository, connect, monkeypatch
):
    monkeypatch.setattr("camgraph_server.transport.stream._LONGEST_PAUSE", 0.01)
    runs, infer = list[Any](), Explainer.infer
    async with running_server(repository) as server:
        monkeypatch.setattr(Explainer, "infer", lambda *given: runs.append(given) or infer(*given))
        stub, answers = ExplanationServiceStub(connect(server.address)), server.parts.budgets["answers"]
        with await answers.lent_to_call(answers.size):
            [refused] = await answers_to(stub, [item("a")])
        assert (refused.id, refused.error.status, len(runs)) == ("a", "UNAVAILABLE", 5)
        [answer] = await answers_to(stub, [item("b")])
        assert answer.WhichOneof("outcome") == "response"


async def test_an_item_that_takes_too_long_is_answered_so_while_the_next_is_not_harmed(repository, connect):
    loader = GatedLoader()
    async with running_server(repository, loader, workers=1) as server:
        call = ExplanationServiceStub(connect(server.address)).ExplainStream(timeout=PATIENCE)
        await call.write(item("slow", timeout_ms=300))
        late = await call.read()
        assert (late.id, late.error.status) == ("slow", "DEADLINE_EXCEEDED")
        assert "0.3 s" in late.error.message
        loader.loaded.release.set()
        await call.write(item("next"))
        assert (await call.read()).WhichOneof("outcome") == "response"
        await call.done_writing()


async def test_a_cancelled_stream_frees_all_that_it_held(repository, connect):
    loader = GatedLoader()
    async with running_server(repository, loader, workers=1) as server:
        call = ExplanationServiceStub(connect(server.address)).ExplainStream(
            iter([item(str(number)) for number in range(100)]), timeout=PATIENCE
        )
        await asyncio.to_thread(loader.loaded.wait_entered)
        call.cancel()
        async with asyncio.timeout(PATIENCE):
            while server.parts.gate.in_flight:
                await asyncio.sleep(0.02)
            loader.loaded.release.set()
            while server.parts.scheduler.admitted:
                await asyncio.sleep(0.02)
        assert not any(budget.held for budget in server.parts.budgets.values())
        assert not server.parts.observers.live
        assert loader.loaded.runs == 1


async def test_a_server_that_stops_answers_what_it_has_taken_and_ends_the_stream_as_unavailable(repository, connect):
    loader = GatedLoader()
    async with running_server(repository, loader, workers=1) as server:
        call = ExplanationServiceStub(connect(server.address)).ExplainStream(timeout=PATIENCE)
        for number in range(3):
            await call.write(item(str(number)))
        await asyncio.to_thread(loader.loaded.wait_entered)
        while server.parts.scheduler.admitted < 3:
            await asyncio.sleep(0.02)
        stopping = asyncio.ensure_future(server.stop())
        await asyncio.sleep(0.1)
        loader.loaded.release.set()
        assert [(await call.read()).id for _ in range(3)] == ["0", "1", "2"]
        with pytest.raises(grpc.aio.AioRpcError, match="send what was not answered on a new stream"):
            await call.read()
        assert await call.code() == grpc.StatusCode.UNAVAILABLE
        assert await stopping


async def test_a_signal_ends_streams_that_wait_and_streams_that_send_all_the_time(repository, connect):
    with server_process(repository, "--grace", "20") as process:
        stub = ExplanationServiceStub(connect(process.address))

        async def busy() -> tuple[int, str]:
            count, call = 0, stub.ExplainStream(timeout=PATIENCE)
            try:
                while True:
                    await call.write(item(str(count)))
                    assert (await call.read()).WhichOneof("outcome") == "response"
                    count += 1
            except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
                return count, await call.details()

        idle = stub.ExplainStream(timeout=PATIENCE)
        await idle.initial_metadata()
        running = [asyncio.ensure_future(busy()) for _ in range(3)]
        await asyncio.sleep(0.5)
        process.signal(signal.SIGTERM)
        code, log = await asyncio.to_thread(process.wait)
        assert await idle.code() == grpc.StatusCode.UNAVAILABLE
        for count, why in await asyncio.gather(*running):
            assert count > 0
            # The second is what grpc.aio makes of a write to a stream that has just ended, whatever its status is.
            assert "send what was not answered" in why or why == "Internal error from Core"
    assert code == 0, log
    assert "drained=True" in log


async def test_as_many_streams_are_open_as_there_is_memory_for(repository, connect):
    memory = {"max_memory_mib": 64, "max_request_mib": 4}  # 16 MiB for requests
    async with running_server(repository, max_client_streams=3, **memory) as server:
        stub = ExplanationServiceStub(connect(server.address))
        streams = [stub.ExplainStream(timeout=PATIENCE) for _ in range(2)]
        await asyncio.gather(*(stream.initial_metadata() for stream in streams))
        with pytest.raises(grpc.aio.AioRpcError, match="memory for 2 streams") as caught:
            await stub.ExplainStream(timeout=PATIENCE).read()
        assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
        await stub.Explain(GOOD, timeout=PATIENCE)  # calls have their part
        for stream in streams:
            await stream.done_writing()
            assert await stream.code() == grpc.StatusCode.OK
        assert (await answers_to(stub, [item("again")]))[0].id == "again"


async def test_the_log_has_a_line_for_each_item_and_one_for_the_stream(repository, connect):
    with server_process(repository, "--log-format", "json") as process:
        odd = item("b", targets=[pb.Target(class_index=99)], request_id="r2")
        stub = ExplanationServiceStub(connect(process.address))
        await answers_to(stub, [item("a", request_id="r1"), odd])
        process.signal(signal.SIGTERM)
        _, log = await asyncio.to_thread(process.wait)
    lines = [json.loads(line) for line in log.splitlines()]
    items = {line["item"]: line for line in lines if line["message"] == "item"}
    [whole] = [line for line in lines if line["message"] == "call"]
    assert (items["a"]["status"], items["a"]["request_id"], items["a"]["model"]) == ("OK", "r1", "tiny")
    assert (items["b"]["status"], items["b"]["request_id"]) == ("INVALID_ARGUMENT", "r2")
    assert "reason" in items["b"]
    assert (whole["status"], whole["items"], whole["rpc"]) == ("OK", 2, "ExplainStream")
    assert whole["received"] == sum(line["received"] for line in items.values())


async def test_a_slow_reader_gets_all_of_its_answers(repository, connect):
    async with running_server(repository, workers=2, max_memory_mib=128, max_response_mib=10) as server:
        large = item("large", image=pb.EncodedImage(data=png(1000, 800)), outputs=[pb.OUTPUT_KIND_HEATMAP])
        call = ExplanationServiceStub(connect(server.address)).ExplainStream(iter([large] * 20), timeout=PATIENCE)
        read = []
        while (answer := await call.read()) is not grpc.aio.EOF:
            read.append(answer.WhichOneof("outcome"))
            await asyncio.sleep(0.05)
        assert server.parts.budgets["answers"].held == 0
    assert read == ["response"] * 20
