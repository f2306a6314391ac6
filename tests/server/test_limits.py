"""What one request may take: bounded before anything is built of it, while health checks are answered."""

from __future__ import annotations

import asyncio
import contextlib
import time
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from camgraph.v1 import explanation_pb2 as pb
from camgraph.v1.explanation_pb2_grpc import ExplanationServiceStub
from camgraph_core.errors import InvalidInputError
from camgraph_server.transport.screening import MalformedError, Screen
from camgraph_wire.open_inference.messages import message_class
from support.http2 import CALL, Http2, field
from support.serving import PATIENCE, blank_png, png, running_server, server_process

MIB = 1024 * 1024
SCREEN = Screen(pb.ExplainRequest.DESCRIPTOR, {"targets": 3})


def nested(depth: int) -> bytes:
    data = b""
    for _ in range(depth):
        data = field(4, data)
    return data


HOSTILE = {
    "a name of 5 MiB": (field(1, b"a-" * (5 * MIB // 2)), "model_name has a text"),
    "a layer of 5 MiB": (field(8, b"layer" * MIB), "layers has a text"),
    "a label of 5 MiB": (field(5, field(2, b"tiger cat " * (MIB // 2))), "label has a text"),
    "a million targets": (field(5, b"") * 1_000_000, "targets has more than 100 entries"),
    "a million layers": (field(8, b"") * 1_000_000, "layers has more than 100 entries"),
    "a thousand outputs": (field(10, b"\1" * 1000), "outputs has more than 100 entries"),
    "five million axes": (field(4, field(2, b"\1" * 5_000_000)), "shape has more than 100 entries"),
    "a million unknown fields": (b"\xf8\x7c\1" * 1_000_000, "more than 20000 fields"),
    "contrasts inside one another": (field(5, nested(5000)), "inside one another"),
}


@pytest.mark.parametrize("case", HOSTILE)
async def test_a_hostile_message_is_refused_while_it_costs_nothing(case, connect, repository):
    hostile, text = HOSTILE[case]
    async with running_server(repository) as server:
        channel = connect(server.address)
        with pytest.raises(grpc.RpcError) as caught:
            await channel.unary_unary(CALL)(hostile + field(3, field(1, png())), timeout=PATIENCE)
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert text in caught.value.details()
        request = pb.ExplainRequest(image=pb.EncodedImage(data=png()))
        assert (await ExplanationServiceStub(channel).Explain(request, timeout=PATIENCE)).predictions


@pytest.mark.parametrize(
    ("message", "is_light"),
    [
        (pb.ExplainRequest(image=pb.EncodedImage(data=bytes(MIB)), targets=[pb.Target(rank=1)] * 3), True),
        (pb.ExplainRequest(targets=[pb.Target(polygon=pb.Polygon(corners=[pb.Point(x=1, y=2)] * 90))]), False),
        (pb.ExplainRequest(tensor=pb.Tensor(dtype="uint8", shape=[2] * 100)), True),
    ],
)
def test_a_message_of_few_fields_is_light_however_large(message, is_light):
    assert SCREEN.finds_light(message.SerializeToString()) == is_light
    SCREEN.check(message.SerializeToString())


def many_numbers(lists: int, size: int) -> bytes:
    """A request of the Open Inference Protocol with lists of numbers, which are one byte each."""
    return b"".join(field(5, field(1, b"%d" % name) + field(5, field(3, b"\1" * size))) for name in range(lists))


def test_lists_of_numbers_are_counted_together_with_what_they_take_when_they_are_parsed():
    screen = Screen(message_class("ModelInferRequest").DESCRIPTOR, {"int64_contents": 4 * MIB})
    allowed, hostile = many_numbers(3, MIB), many_numbers(5, MIB)
    assert screen.check(allowed) >= 8 * 3 * MIB
    with pytest.raises(InvalidInputError, match="more than 4194304 bytes"):
        screen.check(hostile)


def test_numbers_in_a_packed_list_are_not_light():
    numbers = message_class("ModelInferRequest")()
    numbers.inputs.add(name="input").contents.fp32_contents.extend([0.5] * 1000)
    screen = Screen(numbers.DESCRIPTOR, {"fp32_contents": 8000})
    assert not screen.finds_light(numbers.SerializeToString())
    screen.check(numbers.SerializeToString())


@pytest.mark.parametrize("case", HOSTILE)
def test_a_look_ends_at_the_first_field_too_many(case):
    """However long the message is: what follows the fields that are too many is never looked at."""
    hostile, _ = HOSTILE[case]
    with pytest.raises((InvalidInputError, MalformedError)) as caught:
        SCREEN.check(hostile + b"\xff" * 20)  # not a message: who reads to the end stumbles over it
    assert isinstance(caught.value, InvalidInputError)


def test_honest_messages_pass_and_others_are_malformed():
    tensor = pb.Tensor(dtype="float32", shape=(1, 3, 16, 16), data=bytes(3072))
    target = pb.Target(class_index=-1, contrast=pb.Target(label="dog"), negative=True)
    honest = pb.ExplainRequest(
        tensor=tensor, targets=[target] * 3, layers=["conv"], outputs=[1, 2, 3], overlay={"image_weight": 0.5}
    ).SerializeToString()
    SCREEN.check(honest)
    SCREEN.check(b"")
    with pytest.raises(InvalidInputError):
        SCREEN.check(honest + field(5, b""))
    for broken in (honest[:-1], b"\xff", field(1, b"abc")[:-1], b"\x0b", b"\x09\0"):
        with pytest.raises(MalformedError):
            SCREEN.check(broken)


def peak_mib(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


async def test_few_bytes_with_many_pixels_do_not_take_the_memory(connect, repository):
    with server_process(repository, "--max-memory-mib", "64", "--max-response-mib", "8") as process:
        stub = ExplanationServiceStub(connect(process.address))
        before = peak_mib(process.process.pid)
        bomb = pb.ExplainRequest(image=pb.EncodedImage(data=blank_png(7000, 7000)))
        with pytest.raises(grpc.RpcError) as caught:
            await stub.Explain(bomb, timeout=PATIENCE)
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "of memory, more than the 32 MiB" in caught.value.details()
        raw_map = [pb.OUTPUT_KIND_RAW_MAP]
        large = pb.ExplainRequest(image=pb.EncodedImage(data=blank_png(1700, 1700)), outputs=raw_map)
        answers = await asyncio.gather(*(stub.Explain(large, timeout=PATIENCE) for _ in range(20)))
        assert all(answer.predictions for answer in answers)
        assert peak_mib(process.process.pid) - before < 150


async def test_pictures_are_bounded_by_what_is_drawn(connect, repository):
    async with running_server(repository, max_output_megapixels=1.0) as server:
        stub = ExplanationServiceStub(connect(server.address))
        image = pb.EncodedImage(data=png(600, 400))
        kinds = [pb.OUTPUT_KIND_OVERLAY_PNG, pb.OUTPUT_KIND_HEATMAP_PNG, pb.OUTPUT_KIND_RAW_MAP]
        assert (
            await stub.Explain(pb.ExplainRequest(image=image, outputs=kinds, top_k=2), timeout=PATIENCE)
        ).predictions
        with pytest.raises(grpc.RpcError) as caught:
            await stub.Explain(pb.ExplainRequest(image=image, outputs=kinds, top_k=3), timeout=PATIENCE)
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "3 targets with 2 outputs of 600 x 400" in caught.value.details()


async def test_requests_that_do_not_arrive_give_way_to_those_that_do(connect, repository, monkeypatch):
    monkeypatch.setattr("camgraph_server.transport.receiving.IN_NEED", 0.2)
    async with running_server(repository, max_memory_mib=8, max_request_mib=1, max_response_mib=1) as server:
        whole = pb.ExplainRequest(image=pb.EncodedImage(data=png())).SerializeToString()
        stalled = [await Http2.call(server.address, whole, len(whole)) for _ in range(8)]  # the last byte is missing
        stub = ExplanationServiceStub(connect(server.address))
        request = pb.ExplainRequest(image=pb.EncodedImage(data=png()))
        answers = await asyncio.gather(*(stub.Explain(request, timeout=PATIENCE) for _ in range(4)))
        assert all(answer.predictions for answer in answers)
        for client in stalled:
            await client.close()


async def test_a_request_may_take_so_long_to_arrive(connect, repository):
    async with running_server(repository, receive_timeout=0.3) as server:
        call = connect(server.address).stream_unary(CALL)()
        with pytest.raises(grpc.RpcError) as caught:
            await call
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert "did not arrive" in caught.value.details()


async def test_answers_that_nobody_reads_take_no_more_than_their_part(connect, repository):
    settings = ("--max-memory-mib", "96", "--max-response-mib", "8", "--workers", "1")
    with server_process(repository, *settings) as process:
        large = pb.ExplainRequest(
            image=pb.EncodedImage(data=blank_png(1200, 1000))
        ).SerializeToString()  # 5 MB of heatmap
        before = peak_mib(process.process.pid)
        silent = [await Http2.call(process.address, large, len(large) + 5) for _ in range(24)]
        channel = connect(process.address)
        stub, health = ExplanationServiceStub(channel), health_pb2_grpc.HealthStub(channel)
        small = pb.ExplainRequest(image=pb.EncodedImage(data=png()), outputs=[pb.OUTPUT_KIND_RAW_MAP])
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:  # the silent ones take what there is, and then one after the other is refused
            with contextlib.suppress(grpc.RpcError):
                if (await stub.Explain(small, timeout=PATIENCE)).predictions:
                    break
            await asyncio.sleep(0.1)
        assert (await health.Check(health_pb2.HealthCheckRequest(), timeout=PATIENCE)).status
        assert peak_mib(process.process.pid) - before < 150  # 24 answers would be 240 MB, each of them twice
        for client in silent:
            await client.close()
        with pytest.raises(grpc.RpcError) as caught:
            await channel.unary_unary(CALL)(b"\xff", timeout=PATIENCE)
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
