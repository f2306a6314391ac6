"""Two servers behind HAProxy, with the configuration of deploy/: no call fails when one of them goes."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from camgraph_client import Client, Connection, Tls
from camgraph_core.errors import CamgraphError
from support.callers import Explains, calling, own_client, policy_alone
from support.haproxy import CONFIG, haproxy
from support.peers import Peer
from support.serving import PATIENCE, ServerProcess, png, server_process, write_certificate, write_model


@pytest.mark.parametrize("connect", [own_client, policy_alone])
@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM])
def test_no_call_fails_when_a_server_ends(
    peer: Callable[[str], Peer],
    tmp_path: Path,
    ending: signal.Signals,
    connect: Callable[[str], AbstractContextManager[Explains]],
) -> None:
    write_model(tmp_path)
    with ExitStack() as stack:
        first, second = (stack.enter_context(server_process(tmp_path, "--allow-uncertified")) for _ in range(2))
        address = stack.enter_context(haproxy(peer("haproxy"), first.address, second.address))
        calls = stack.enter_context(calling(address, 6, connect))
        calls.wait_for(20)
        first.signal(ending)
        calls.wait_for(20)
        assert first.process.wait(PATIENCE) == (-signal.SIGKILL if ending is signal.SIGKILL else 0)
        calls.wait_for(20)
    assert calls.failed == []
    answered = _answers(second)
    assert answered > 6 * 20, "the other server had hardly any calls"


def test_a_server_gets_calls_while_its_health_check_says_serving(peer: Callable[[str], Peer], tmp_path: Path) -> None:
    models, nothing = tmp_path / "models", tmp_path / "nothing"
    nothing.mkdir()
    write_model(models)
    with ExitStack() as stack:
        serves = stack.enter_context(server_process(models, "--allow-uncertified"))
        serves_not = stack.enter_context(server_process(nothing, "--allow-uncertified", "--reload-interval", "0.1"))
        address = stack.enter_context(haproxy(peer("haproxy"), serves_not.address, serves.address))
        _wait_until_all_are_answered(address)
        serves.signal(signal.SIGKILL)
        with grpc.insecure_channel(address) as channel:  # nobody is left who serves
            _wait_for_status(channel, grpc.StatusCode.UNAVAILABLE)
        write_model(nothing)
        _wait_until_all_are_answered(address)


def test_tls_to_the_clients_and_to_the_servers_as_the_page_says(peer: Callable[[str], Peer], tmp_path: Path) -> None:
    page = (CONFIG.parents[1] / "docs/cluster.md").read_text(encoding="utf-8")
    [bind] = re.findall(r"`(bind [^`]*)`", page)
    [server] = re.findall(r"`(ssl [^`]*)`", page)
    authority, certificate, key = write_certificate(tmp_path)
    both = tmp_path / "both.pem"
    both.write_bytes(certificate.read_bytes() + key.read_bytes())
    text = CONFIG.read_text(encoding="utf-8").replace(
        'bind "${CAMGRAPH_FRONT}" proto h2', bind.replace("FILE.pem", str(both))
    )
    secured = f"default-server {server.replace('FILE.pem', str(authority)).replace('NAME', 'localhost')} "
    config = tmp_path / "haproxy.cfg"
    config.write_text(text.replace("default-server ", secured), encoding="utf-8")
    options = ("--allow-uncertified", "--tls-cert", str(certificate), "--tls-key", str(key))
    write_model(tmp_path / "models")
    with ExitStack() as stack:
        servers = [stack.enter_context(server_process(tmp_path / "models", *options)) for _ in range(2)]
        address = stack.enter_context(haproxy(peer("haproxy"), *(server.address for server in servers), config))
        port = address.rpartition(":")[2]
        client = stack.enter_context(Client(Connection(f"localhost:{port}", Tls(authority), timeout=PATIENCE)))
        servers[0].signal(signal.SIGKILL)
        time.sleep(2.5)  # the check has been asked, and only whom it finds serving gets calls
        assert client.model().explain(png()).predictions


def _wait_until_all_are_answered(address: str) -> None:
    """A server without models would answer some calls with NOT_FOUND."""
    until = time.monotonic() + PATIENCE
    with Client(Connection(address, timeout=PATIENCE)) as client:
        while time.monotonic() < until:
            try:
                for _ in range(20):
                    client.model("tiny").explain(png())
            except CamgraphError:
                time.sleep(0.1)
            else:
                return
    raise AssertionError("calls go to a server that does not serve")


def _wait_for_status(channel: grpc.Channel, status: grpc.StatusCode) -> None:
    health = health_pb2_grpc.HealthStub(channel)
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        try:
            health.Check(health_pb2.HealthCheckRequest(), timeout=PATIENCE)
        except grpc.RpcError as error:
            if error.code() is status:  # type: ignore[attr-defined]  # the stubs do not say that it is a call
                return
        time.sleep(0.1)
    raise AssertionError(f"no call ends with {status}")


def _answers(server: ServerProcess) -> int:
    """How many explanations a server has logged."""
    server.signal(signal.SIGTERM)
    _, log = server.wait()
    return sum("rpc=Explain" in line for line in log.splitlines())
