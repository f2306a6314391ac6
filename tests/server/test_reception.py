"""Every method of every service comes in by the same way; those that are treated unlike others are listed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from camgraph_server.access.peer import host_of
from camgraph_server.lifecycle import Server
from camgraph_server.transport import standard
from camgraph_server.transport.rules import EXCEPTIONS, rule_of
from support.methods import ANSWERS_GARBAGE, answer_to_garbage, registered_methods
from support.serving import PATIENCE, running_server


@pytest.fixture
def registered() -> Iterator[list[str]]:
    with registered_methods() as names:
        yield names


async def server_is_idle(server: Server) -> None:
    async with asyncio.timeout(PATIENCE):
        while server.parts.observers.live:
            await asyncio.sleep(0.001)


async def test_every_registered_method_comes_in_through_the_reception(registered, connect, repository, caplog):
    caplog.set_level(logging.DEBUG, "camgraph.request")
    async with running_server(repository) as server:
        channel = connect(server.address)
        assert set(EXCEPTIONS) < set(registered)
        for method in (*registered, "/a.service/that_nobody_has"):
            caplog.clear()
            code, details = await answer_to_garbage(channel, method, PATIENCE)
            known = method in registered
            if method not in ANSWERS_GARBAGE:
                assert code is (grpc.StatusCode.INVALID_ARGUMENT if known else grpc.StatusCode.UNIMPLEMENTED), method
            await server_is_idle(server)  # the record is made when the answer has been written
            [facts] = [record.camgraph_facts for record in caplog.records if record.getMessage() == "call"]
            assert facts["rpc"] == (method.rpartition("/")[2] if known else "unknown")
            assert facts["status"] == code.name
            assert facts.get("reason", "") == details


async def test_during_a_stop_all_methods_but_those_listed_are_refused(registered, connect, repository):
    async with running_server(repository) as server:
        server.parts.gate.close()
        channel = connect(server.address)
        for method in registered:
            code, _ = await answer_to_garbage(channel, method, PATIENCE)
            assert (code is grpc.StatusCode.UNAVAILABLE) == rule_of(method).is_counted, method


def test_what_needs_no_identity_is_health_alone():
    assert {method for method, rule in EXCEPTIONS.items() if rule.is_open} == {
        "/grpc.health.v1.Health/Check",
        "/grpc.health.v1.Health/Watch",
    }


async def test_watches_are_bounded_and_other_calls_go_on(connect, repository):
    most = rule_of("/grpc.health.v1.Health/Watch").most_of_one
    async with running_server(repository) as server:
        health = health_pb2_grpc.HealthStub(connect(server.address))
        watches = [health.Watch(health_pb2.HealthCheckRequest()) for _ in range(most)]
        for watch in watches:
            assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
        with pytest.raises(grpc.RpcError) as caught:
            await health.Watch(health_pb2.HealthCheckRequest()).read()
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert (await health.Check(health_pb2.HealthCheckRequest(), timeout=PATIENCE)).status
        watches[0].cancel()
        async with asyncio.timeout(PATIENCE):
            while True:  # the server hears of it in a moment
                again = health.Watch(health_pb2.HealthCheckRequest())
                try:
                    assert (await again.read()).status == health_pb2.HealthCheckResponse.SERVING
                    break
                except grpc.RpcError:
                    await asyncio.sleep(0.01)


async def test_health_checks_that_never_send_their_message_stop_nobody_and_give_way(connect, repository):
    async with running_server(repository) as server:
        channel = connect(server.address)
        silent = [channel.stream_unary("/grpc.health.v1.Health/Check")(timeout=PATIENCE) for _ in range(100)]
        async with asyncio.timeout(PATIENCE):
            while sum(call.done() for call in silent) < 96:
                await asyncio.sleep(0.01)
        gone = [await call.code() for call in silent if call.done()]
        assert gone == [grpc.StatusCode.UNAVAILABLE] * 96
        health = health_pb2_grpc.HealthStub(channel)
        assert (await health.Check(health_pb2.HealthCheckRequest(), timeout=PATIENCE)).status
        assert sum(call.done() for call in silent) == 96
        for call in silent:
            call.cancel()


NAMES = {
    "a name beyond the limit": ("x" * 100_000, grpc.StatusCode.INVALID_ARGUMENT),
    "950 emoji": ("\N{GRINNING FACE}" * 950, grpc.StatusCode.NOT_FOUND),
    "16,000 emoji": ("\N{GRINNING FACE}" * 16_000, grpc.StatusCode.NOT_FOUND),
    "lines": ("a\nb" * 1000, grpc.StatusCode.NOT_FOUND),
}


@pytest.mark.parametrize("case", NAMES)
async def test_health_checks_of_odd_names_get_a_sentence_that_fits(case, connect, repository):
    name, code = NAMES[case]
    async with running_server(repository) as server:
        health = health_pb2_grpc.HealthStub(connect(server.address))
        with pytest.raises(grpc.RpcError) as caught:
            await health.Check(health_pb2.HealthCheckRequest(service=name), timeout=PATIENCE)
        assert caught.value.code() is code
        assert len(caught.value.details()) <= 1000


async def test_reflection_lists_the_services(connect, repository):
    async with running_server(repository) as server:
        stub = reflection_pb2_grpc.ServerReflectionStub(connect(server.address))
        request = reflection_pb2.ServerReflectionRequest(list_services="")
        [answer] = [item async for item in stub.ServerReflectionInfo(iter([request]), timeout=PATIENCE)]
        assert "camgraph.v1.ExplanationService" in [item.name for item in answer.list_services_response.service]


@pytest.mark.parametrize(
    ("peer", "host"),
    [
        ("ipv4:10.0.0.7:51234", "10.0.0.7"),
        ("ipv6:%5B::1%5D:51234", "::/64"),
        ("ipv6:[2001:db8:1:2:3:4:5:6]:1", "2001:db8:1:2::/64"),
        ("ipv6:%5B2001:db8:1:2:ffff::9%5D:2", "2001:db8:1:2::/64"),
        ("ipv6:[::ffff:10.0.0.7]:51234", "10.0.0.7"),
        ("ipv6:[fe80::1%25eth0]:51234", "fe80::/64"),
        ("unix:", "unix"),
        ("unix:/run/camgraph.sock", "unix"),
        ("", "unknown"),
        ("ipv4:nonsense", "ipv4:nonsense"),
    ],
)
def test_the_machine_behind_a_peer(peer, host):
    assert host_of(peer) == host


def test_the_list_of_exceptions_is_in_one_place():
    rooms = Path(standard.__file__).parents[1]
    naming = [path.name for path in rooms.rglob("*.py") if "EXCEPTIONS" in path.read_text(encoding="utf-8")]
    assert naming == ["rules.py"]
