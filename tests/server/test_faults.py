"""Bad input gets a clear status, and the server lives on after each."""

from __future__ import annotations

import asyncio
import struct
import time
import zlib

import grpc
import numpy as np
import pytest

from camgraph.v1 import explanation_pb2 as pb
from camgraph.v1.explanation_pb2_grpc import ExplanationServiceStub
from camgraph_core.errors import InferenceError
from camgraph_server.transport.refusal import Refusal
from support.serving import PATIENCE, GatedLoader, png, running_server, write_model
from support.tiny_graph import TinyGraph

INVALID = grpc.StatusCode.INVALID_ARGUMENT


def image(data: bytes, **fields) -> pb.ExplainRequest:
    return pb.ExplainRequest(image=pb.EncodedImage(data=data), **fields)


def tensor(dtype: str, shape: tuple[int, ...], data: bytes) -> pb.ExplainRequest:
    return pb.ExplainRequest(tensor=pb.Tensor(dtype=dtype, shape=shape, data=data))


def bomb(width: int, height: int) -> bytes:
    """A PNG whose header promises more pixels than its data has."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def plain_tensor(size: int = 16) -> bytes:
    return np.zeros((1, 3, size, size), np.float32).tobytes()


BAD_REQUESTS = {
    "nothing to explain": (pb.ExplainRequest(), INVALID, "neither an image nor a tensor"),
    "zero bytes": (image(b""), INVALID, "zero bytes"),
    "not an image": (image(b"this is no image at all"), INVALID, "not an image"),
    "truncated image": (image(png(200, 200)[:2000]), INVALID, "damaged"),
    "decompression bomb": (image(bomb(40_000, 40_000)), INVALID, "pixels"),
    "class out of range": (image(png(), targets=[pb.Target(class_index=5)]), INVALID, "0 to 4"),
    "negative class": (image(png(), targets=[pb.Target(class_index=-1)]), INVALID, "not negative"),
    "rank out of range": (image(png(), targets=[pb.Target(rank=6)]), INVALID, "rank 6"),
    "rank zero": (image(png(), targets=[pb.Target(rank=0)]), INVALID, "start at 1"),
    "unknown label": (image(png(), targets=[pb.Target(label="dgo")]), INVALID, "'dog'"),
    "nested contrast": (
        image(png(), targets=[pb.Target(contrast=pb.Target(contrast=pb.Target()))]),
        INVALID,
        "contrast",
    ),
    "top-k out of range": (image(png(), top_k=6), INVALID, "5 classes"),
    "too many targets": (image(png(), targets=[pb.Target()] * 101), INVALID, "100"),
    "unknown layer": (image(png(), layers=["featuers"]), grpc.StatusCode.NOT_FOUND, "last, conv"),
    "raw profile of two layers": (
        image(png(), layers=["features", "conv"], profile=pb.PROFILE_RAW),
        INVALID,
        "one layer",
    ),
    "raw profile as a picture": (
        image(png(), profile=pb.PROFILE_RAW, outputs=[pb.OUTPUT_KIND_OVERLAY_PNG]),
        INVALID,
        "raw",
    ),
    "unknown method": (image(png(), method="gradcam"), INVALID, "Did you mean grad-cam"),
    "unknown profile": (image(png(), profile=99), INVALID, "profile"),
    "unknown output": (image(png(), outputs=[99]), INVALID, "outputs"),
    "unknown colour map": (image(png(), overlay=pb.OverlayOptions(colormap=99)), INVALID, "colormap"),
    "image weight": (image(png(), overlay=pb.OverlayOptions(image_weight=1.5)), INVALID, "0..1"),
    "JPEG quality": (image(png(), overlay=pb.OverlayOptions(jpeg_quality=101)), INVALID, "1..100"),
    "overlay of a tensor": (
        pb.ExplainRequest(
            tensor=pb.Tensor(dtype="float32", shape=(1, 3, 16, 16), data=plain_tensor()),
            outputs=[pb.OUTPUT_KIND_OVERLAY_JPEG],
        ),
        INVALID,
        "needs a photo",
    ),
    "tensor of another shape": (tensor("float32", (1, 3, 8, 8), plain_tensor(8)), INVALID, "shape"),
    "tensor of another type": (tensor("uint8", (1, 3, 16, 16), bytes(768)), INVALID, "float32"),
    "tensor of an unknown type": (tensor("complex64", (1,), bytes(8)), INVALID, "dtype"),
    "tensor with too little data": (tensor("float32", (1, 3, 16, 16), bytes(10)), INVALID, "3072 bytes"),
    "tensor of a negative length": (tensor("float32", (-1, 3, 16, 16), b""), INVALID, "at least 1"),
    "tensor of a hundred axes": (tensor("uint8", (1,) * 100, b"x"), INVALID, "axes"),
    "two images in a tensor": (tensor("float32", (2, 3, 16, 16), plain_tensor() * 2), INVALID, "one image"),
}


@pytest.mark.parametrize("case", BAD_REQUESTS)
async def test_bad_request_is_refused_and_the_next_one_answered(stub, case):
    request, status, text = BAD_REQUESTS[case]
    with pytest.raises(grpc.RpcError) as caught:
        await stub.Explain(request, timeout=PATIENCE)
    assert caught.value.code() is status, caught.value.details()
    assert text in caught.value.details()
    assert "Traceback" not in caught.value.details()
    assert (await stub.Explain(image(png()), timeout=PATIENCE)).predictions


async def test_request_of_100_megabytes(stub):
    with pytest.raises(grpc.RpcError) as caught:
        await stub.Explain(image(bytes(100_000_000)), timeout=PATIENCE)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert (await stub.Explain(image(png()), timeout=PATIENCE)).predictions


@pytest.mark.parametrize(
    "fields",
    [{"targets": [pb.Target(label="x" * 1_000_000)]}, {"model_name": "y" * 1_000_000}, {"layers": ["z " * 500_000]}],
)
async def test_names_too_long_to_quote(stub, fields):
    with pytest.raises(grpc.RpcError) as caught:
        await stub.Explain(image(png(), **fields), timeout=PATIENCE)
    assert caught.value.code() in {INVALID, grpc.StatusCode.NOT_FOUND}
    assert len(caught.value.details()) <= 1000
    assert (await stub.Explain(image(png()), timeout=PATIENCE)).predictions


async def test_heatmaps_that_would_fill_the_memory(connect, repository):
    async with running_server(repository, max_response_mib=1) as server:
        stub = ExplanationServiceStub(connect(server.address))
        request = image(png(600, 400), targets=[pb.Target(rank=1), pb.Target(rank=2)])
        with pytest.raises(grpc.RpcError) as caught:
            await stub.Explain(request, timeout=PATIENCE)
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "2 heatmaps of 600 x 400" in caught.value.details()
        assert (await stub.Explain(image(png(600, 400)), timeout=PATIENCE)).predictions


async def test_answer_beyond_the_limit(connect, repository):
    async with running_server(repository, max_response_mib=1) as server:
        stub = ExplanationServiceStub(connect(server.address))
        request = image(png(500, 400), outputs=[pb.OUTPUT_KIND_HEATMAP, pb.OUTPUT_KIND_OVERLAY_PNG])
        with pytest.raises(grpc.RpcError) as caught:
            await stub.Explain(request, timeout=PATIENCE)
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "ask for fewer targets" in caught.value.details()


async def test_method_without_the_gradients_it_needs(connect, tmp_path):
    write_model(tmp_path, graph=TinyGraph(gradients=False))
    async with running_server(tmp_path) as server:
        stub = ExplanationServiceStub(connect(server.address))
        with pytest.raises(grpc.RpcError) as caught:
            await stub.Explain(image(png(), method="hires-cam"), timeout=PATIENCE)
        assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
        assert "--gradients" in caught.value.details()


async def test_graph_that_does_not_say_how_to_read_photos(connect, tmp_path):
    write_model(tmp_path, graph=UnstatedGraph())
    async with running_server(tmp_path) as server:
        stub = ExplanationServiceStub(connect(server.address))
        with pytest.raises(grpc.RpcError) as caught:
            await stub.Explain(image(png()), timeout=PATIENCE)
        assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
        assert "tensor" in caught.value.details()
        ready = tensor("float32", (1, 3, 16, 16), plain_tensor())
        assert (await stub.Explain(ready, timeout=PATIENCE)).predictions


class UnstatedGraph(TinyGraph):
    def manifest(self):
        manifest = super().manifest()
        manifest.input.channel_order = 0
        return manifest


async def test_faults_of_the_server_stay_opaque(connect, repository, caplog):
    loader = GatedLoader()
    async with running_server(repository, loader) as server:
        loader.loaded.infer = broken_infer
        stub = ExplanationServiceStub(connect(server.address))
        with pytest.raises(grpc.RpcError) as caught:
            await stub.Explain(image(png()), timeout=PATIENCE)
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    assert "secret" not in caught.value.details()
    [record] = [record for record in caplog.records if record.getMessage() == "internal error"]
    assert record.camgraph_facts["error_id"] in caught.value.details()
    assert "secret" in str(record.exc_info[1])


def broken_infer(*_):
    raise ZeroDivisionError("a secret of the server")


async def test_garbage_instead_of_a_message(server, connect, stub):
    call = connect(server.address).unary_unary("/camgraph.v1.ExplanationService/Explain")
    with pytest.raises(grpc.RpcError) as caught:
        await call(b"\xff\xff\xff\xff garbage", timeout=PATIENCE)
    assert caught.value.code() is INVALID
    assert "request of Explain" in caught.value.details()
    assert (await stub.Explain(image(png()), timeout=PATIENCE)).predictions


async def test_garbage_bytes_on_the_port(server, stub):
    host, _, port = server.address.rpartition(":")
    for garbage in (
        b"\x00" * 500,
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        np.random.default_rng(0).bytes(5000),
    ):
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(garbage)
        await writer.drain()
        await asyncio.wait_for(reader.read(), PATIENCE)
        writer.close()
    assert (await stub.Explain(image(png()), timeout=PATIENCE)).predictions


async def test_unknown_method_of_the_service(server, connect):
    call = connect(server.address).unary_unary("/camgraph.v1.ExplanationService/Guess")
    with pytest.raises(grpc.RpcError) as caught:
        await call(b"", timeout=PATIENCE)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_inference_errors_are_internal():
    assert Refusal.of(InferenceError("onnxruntime failed")).status is grpc.StatusCode.INTERNAL


def test_a_request_for_which_there_is_no_memory_is_too_large(caplog):
    refusal = Refusal.of(MemoryError("std::bad_alloc"))
    assert refusal.status is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "not enough memory" in refusal.text
    assert [record.getMessage() for record in caplog.records] == ["a request found no memory"]


async def test_overload_is_refused_at_once(connect, repository):
    loader = GatedLoader()
    async with running_server(repository, loader, workers=1, queue_capacity=1) as server:
        stub = ExplanationServiceStub(connect(server.address))
        running = asyncio.ensure_future(stub.Explain(image(png()), timeout=PATIENCE))
        await asyncio.to_thread(loader.loaded.wait_entered)
        waiting = asyncio.ensure_future(stub.Explain(image(png()), timeout=PATIENCE))
        await until(lambda: server.parts.scheduler.admitted == 2)
        started = time.monotonic()
        with pytest.raises(grpc.RpcError) as caught:
            await stub.Explain(image(png()), timeout=PATIENCE)
        assert time.monotonic() - started < 2
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        assert "1 running and 1 waiting" in caught.value.details()
        loader.loaded.release.set()
        assert (await running).predictions
        assert (await waiting).timings.queue_ms > 0
        assert (await stub.Explain(image(png()), timeout=PATIENCE)).predictions


async def test_requests_whose_deadline_passed_in_the_queue_are_never_worked_on(connect, repository):
    loader = GatedLoader()
    async with running_server(repository, loader, workers=1) as server:
        stub = ExplanationServiceStub(connect(server.address))
        running = asyncio.ensure_future(stub.Explain(image(png()), timeout=PATIENCE))
        await asyncio.to_thread(loader.loaded.wait_entered)
        with pytest.raises(grpc.RpcError) as caught:
            await stub.Explain(image(png()), timeout=0.2)
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        await until(lambda: server.parts.scheduler.admitted == 1)
        loader.loaded.release.set()
        await running
        assert (await stub.Explain(image(png()), timeout=PATIENCE)).predictions
        assert loader.loaded.runs == 2


async def test_requests_whose_caller_has_gone_are_never_worked_on(connect, repository):
    loader = GatedLoader()
    async with running_server(repository, loader, workers=1) as server:
        stub = ExplanationServiceStub(connect(server.address))
        running = asyncio.ensure_future(stub.Explain(image(png()), timeout=PATIENCE))
        await asyncio.to_thread(loader.loaded.wait_entered)
        gone = stub.Explain(image(png()), timeout=PATIENCE)
        await until(lambda: server.parts.scheduler.admitted == 2)
        gone.cancel()
        await until(lambda: server.parts.scheduler.admitted == 1)
        loader.loaded.release.set()
        await running
        assert loader.loaded.runs == 1


async def until(condition) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.01)
