"""Attacks by requests: what is in them costs more than they weigh."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
from collections.abc import Iterable

import grpc

from camgraph.v1 import explanation_pb2 as pb
from chaos.herd import OWN_CONNECTION
from chaos.pictures import odd_pictures
from chaos.watched import MIB, Target
from support.http2 import CALL, Http2, field, varint
from support.serving import PATIENCE, blank_png, png

_INFER = "/inference.GRPCInferenceService/ModelInfer"
_HEALTH = "/grpc.health.v1.Health/Check"
_OPTIONS = [*OWN_CONNECTION, ("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]


async def long_texts(server: Target, size: float) -> None:
    """Names, layers and labels of megabytes."""
    length = int(30 * size) * MIB + 100_000
    image = _image(png())
    await _send_all(
        server,
        [
            field(1, b"a-" * (length // 2)) + image,
            field(2, b"a " * (length // 2)) + image,
            field(8, b"layer" * (length // 5)) + image,
            field(5, field(2, b"tiger cat " * (length // 10))) + image,
            field(13, b"x" * length) + image,
            field(1, "🐈".encode() * 950) + image,
        ],
    )


async def countless_fields(server: Target, size: float) -> None:
    """Millions of targets, layers, outputs, frames, and fields that nobody knows."""
    count, image = int(10_000_000 * size), _image(png())
    await _send_all(
        server,
        [
            field(5, b"") * count + image,
            field(8, b"") * count + image,
            field(10, b"\1" * count) + image,
            b"\xf8\x7c\1" * count + image,
            field(4, field(1, b"float32") + field(2, b"\1" * count)),
            field(30, field(1, b"") * count),
            field(5, _nested(5000)) + image,
        ],
    )


async def numbers_in_lists(server: Target, size: float) -> None:
    """Tensors whose numbers are a byte each, and eight when they are parsed."""
    length = int(3 * size * MIB) + 100_000
    kinds = ((1, b"BOOL"), (3, b"INT64"), (5, b"UINT64"))
    await _send_all(
        server,
        [
            field(1, b"tiny.tensors")
            + b"".join(
                field(
                    5,
                    field(1, b"%d" % name)
                    + field(2, kind)
                    + b"\x18"
                    + varint(length)
                    + field(5, field(at, b"\1" * length)),
                )
                for name in range(10)
            )
            for at, kind in kinds * 4
        ],
        method=_INFER,
    )


async def much_to_draw(server: Target, size: float) -> None:
    """Small requests for large answers."""
    side = int(2000 * size**0.5) + 10
    image = _image(blank_png(side, side))
    all_classes = b"".join(field(5, b"\x08" + bytes([index])) for index in range(5)) * 20
    await _send_all(
        server,
        [field(10, bytes([kind]) * 1000) + all_classes + image for kind in (1, 2, 3, 4)]
        + [field(10, bytes([kind])) + all_classes + image for kind in (1, 2, 3, 6, 9)],
    )


async def pictures(server: Target, size: float) -> None:
    """Files that cost more than they weigh, several at once."""
    kinds = [pb.OUTPUT_KIND_OVERLAY_PNG, pb.OUTPUT_KIND_HEATMAP]
    await _send_all(
        server,
        [
            pb.ExplainRequest(image=pb.EncodedImage(data=data), outputs=kinds).SerializeToString()
            for data in odd_pictures(size).values()
        ],
    )


async def swelling_messages(server: Target, size: float) -> None:
    """Compressed requests that are a thousand times as large when they are opened."""
    data = _image(bytes(int(900 * size) * MIB + MIB))
    async with grpc.aio.insecure_channel(server.address, _OPTIONS) as channel:
        call = channel.unary_unary(CALL)
        for _ in range(2):
            with contextlib.suppress(grpc.RpcError):
                await call(data, timeout=PATIENCE, compression=grpc.Compression.Gzip)


async def swelling_health_checks(server: Target, size: float) -> None:
    """The same of a method that answers everybody, as many as there are connections for."""
    data = gzip.compress(field(1, bytes(31 * MIB)))
    calls = [
        Http2.call(server.address, data, len(data) + 5, method=_HEALTH, encoding="gzip")
        for _ in range(int(400 * size) + 20)
    ]
    opened = await asyncio.gather(*calls, return_exceptions=True)  # the server may hang up on some
    await asyncio.sleep(4 * size + 0.5)
    for client in opened:
        if isinstance(client, Http2):
            client.writer.transport.abort()


async def _send_all(server: Target, requests: Iterable[bytes], method: str = CALL) -> None:
    """Sends four at once; each may be refused, but with a status that the server means."""

    async def send(data: bytes) -> None:
        async with places:
            try:
                await call(data, timeout=PATIENCE)
            except grpc.RpcError as error:
                if error.code() in {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN}:
                    raise

    places = asyncio.Semaphore(4)
    async with grpc.aio.insecure_channel(server.address, _OPTIONS) as channel, asyncio.TaskGroup() as group:
        call = channel.unary_unary(method)
        for data in requests:
            group.create_task(send(data))


def _image(data: bytes) -> bytes:
    return pb.ExplainRequest(image=pb.EncodedImage(data=data)).SerializeToString()


def _nested(depth: int) -> bytes:
    data = b""
    for _ in range(depth):
        data = field(4, data)
    return data
