"""Compressed requests: taken from whoever may call, and unpacked to no more than a limit."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from google.protobuf import empty_pb2
from grpc_health.v1 import health_pb2
from grpc_health.v1.health_pb2_grpc import HealthStub
from grpc_reflection.v1alpha import reflection_pb2

from camgraph.v1 import explanation_pb2 as pb
from camgraph.v1 import model_control_pb2 as control_pb
from camgraph.v1.explanation_pb2_grpc import ExplanationServiceStub
from camgraph_server.transport import packed
from camgraph_server.transport.packed import Unpacking, is_packed
from camgraph_wire.open_inference.messages import POOL
from support.http2 import CALL, field
from support.serving import PATIENCE, png, running_server

MIB = 1024 * 1024
HEALTH = "/grpc.health.v1.Health/Check"
INVALID, EXHAUSTED, UNKNOWN = (
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.UNAUTHENTICATED,
)
COMPRESS = {"gzip": gzip.compress, "deflate": zlib.compress}
BOTH = [grpc.Compression.Gzip, grpc.Compression.Deflate]
REQUEST = pb.ExplainRequest(image=pb.EncodedImage(data=png()), num_predictions=3)


async def refused(call: Any, *arguments: Any, **keywords: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as caught:
        await call(*arguments, timeout=PATIENCE, **keywords)
    return caught.value.code(), caught.value.details()


@pytest.mark.parametrize("compression", BOTH)
async def test_a_client_that_compresses_gets_what_others_get(compression, connect, repository):
    async with running_server(repository) as server:
        channel = connect(server.address)
        stub = ExplanationServiceStub(channel)
        plain = (await stub.Explain(REQUEST, timeout=PATIENCE)).predictions
        assert (await stub.Explain(REQUEST, timeout=PATIENCE, compression=compression)).predictions == plain
        items = [pb.ExplainStreamRequest(id=name, request=REQUEST) for name in "ab"]
        stream = stub.ExplainStream(iter(items), timeout=PATIENCE, compression=compression)
        answers = [item.response.predictions async for item in stream if item.id]
        assert answers == [plain, plain]
        long = health_pb2.HealthCheckRequest(service="tiny" * 1000)
        code, _ = await refused(HealthStub(channel).Check, long, compression=compression)
        assert code is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize("compression", BOTH)
@pytest.mark.parametrize(
    ("method", "message", "code"),
    [
        (CALL, field(3, field(1, bytes(3 * MIB))), EXHAUSTED),
        (HEALTH, field(1, bytes(100_000)), EXHAUSTED),
        ("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", field(4, bytes(100_000)), EXHAUSTED),
    ],
)
async def test_what_unpacks_to_too_much_is_refused(compression, method, message, code, connect, repository):
    async with running_server(repository, max_request_mib=2) as server:
        call = connect(server.address).stream_unary(method)
        found, text = await refused(call, iter([message]), compression=compression)
        assert (found, "unpacks to more" in text) == (code, True)


@pytest.mark.parametrize("kind", COMPRESS)
@pytest.mark.parametrize("method", [CALL, HEALTH])
async def test_what_is_damaged_is_refused(kind, method, connect, repository):
    whole = COMPRESS[kind](REQUEST.SerializeToString())
    async with running_server(repository) as server:
        call = connect(server.address).unary_unary(method)
        for damaged in (whole[:-1], whole + b"x", whole[:12] + bytes(20) + whole[32:], whole[:2]):
            code, text = await refused(call, damaged)
            assert (code, "damaged" in text) == (INVALID, True)


@pytest.mark.parametrize("method", [CALL, HEALTH])
async def test_compressed_requests_can_be_refused(method, connect, repository):
    async with running_server(repository, compressed_requests=False) as server:
        call = connect(server.address).unary_unary(method)
        code, text = await refused(call, field(1, bytes(4000)), compression=grpc.Compression.Gzip)
        assert (code, "does not take" in text) == (INVALID, True)
        request = health_pb2.HealthCheckRequest()
        assert (await HealthStub(connect(server.address)).Check(request, timeout=PATIENCE)).status


async def test_nothing_is_unpacked_for_a_stranger(connect, repository, tmp_path, monkeypatch):
    unpacked = []
    monkeypatch.setattr(packed.Unpacking, "unpacked", lambda *_: unpacked.append(1))
    clients = tmp_path / "clients.toml"
    clients.write_text("[clients.clinic]\ntokens = ['a-token-of-the-clinic']\n", encoding="utf-8")
    async with running_server(repository, clients=clients) as server:
        call = connect(server.address).unary_unary(CALL)
        code, _ = await refused(call, field(3, field(1, bytes(MIB))), compression=grpc.Compression.Gzip)
    assert (code, unpacked) == (UNKNOWN, [])


def test_the_work_ends_at_the_limit():
    bomb = gzip.compress(bytes(64 * MIB))
    read = packed.zlib.decompressobj(packed._EITHER)
    read.decompress(bomb, 100)
    assert len(read.unconsumed_tail) > len(bomb) // 2


@pytest.mark.parametrize("compress", COMPRESS.values())
def test_it_is_what_it_was(compress: Callable[[bytes], bytes]):
    message = REQUEST.SerializeToString()
    assert is_packed(compress(message))
    assert not is_packed(message)
    assert Unpacking().unpacked(compress(message), len(message)) == message


def test_no_message_looks_as_if_it_were_compressed():
    """One that has the wire type 7, which there is not, or begins with a number that is field 15."""
    services = [*pb.DESCRIPTOR.services_by_name.values(), *control_pb.DESCRIPTOR.services_by_name.values()]
    services += health_pb2.DESCRIPTOR.services_by_name.values()
    services += reflection_pb2.DESCRIPTOR.services_by_name.values()
    services.append(POOL.FindServiceByName("inference.GRPCInferenceService"))
    requests = [method.input_type for service in services for method in service.methods]
    assert len(requests) > 20
    assert not [message.full_name for message in requests if 15 in message.fields_by_number]
    assert not is_packed(empty_pb2.Empty().SerializeToString())
