"""Start and stop: what orchestrators, load balancers and impatient operators see."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import threading
import time

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from camgraph.v1 import explanation_pb2 as pb
from camgraph.v1.explanation_pb2_grpc import ExplanationServiceStub
from camgraph_runtime import DeviceError, Explainer
from camgraph_server.config import ServerConfig
from camgraph_server.errors import BindError
from camgraph_server.lifecycle import Server
from camgraph_server.models.model import ModelState
from support.serving import (
    PATIENCE,
    GatedLoader,
    blank_png,
    png,
    run_camgraph,
    running_server,
    server_process,
    write_certificate,
    write_model,
)

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN


def small() -> pb.ExplainRequest:
    return pb.ExplainRequest(image=pb.EncodedImage(data=png()))


def slow() -> pb.ExplainRequest:
    """A small message that takes seconds of decoding, blending and encoding."""
    kinds = [pb.OUTPUT_KIND_OVERLAY_PNG, pb.OUTPUT_KIND_HEATMAP_PNG]
    return pb.ExplainRequest(image=pb.EncodedImage(data=blank_png(4000, 3000)), outputs=kinds)


async def check(health, name: str = "") -> int:
    response = await health.Check(health_pb2.HealthCheckRequest(service=name), timeout=PATIENCE)
    return response.status


async def test_health_of_server_service_and_models(connect, repository):
    (repository / "torn.onnx").write_bytes(b"torn")
    async with running_server(repository) as server:
        health = health_pb2_grpc.HealthStub(connect(server.address))
        assert await check(health) == SERVING
        assert await check(health, "camgraph.v1.ExplanationService") == SERVING
        assert await check(health, "tiny") == SERVING
        assert await check(health, "torn") == NOT_SERVING
        with pytest.raises(grpc.RpcError) as caught:
            await check(health, "nobody")
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def test_not_serving_while_models_load_and_if_none_is_ready(connect, repository):
    loading, go_on = threading.Event(), threading.Event()

    def load(path):
        loading.set()
        assert go_on.wait(PATIENCE)
        return Explainer(path)

    server = Server(ServerConfig(repository, listen=f"127.0.0.1:{free_port()}"), load)
    starting = asyncio.ensure_future(server.start())
    try:
        assert await asyncio.to_thread(loading.wait, PATIENCE)
        channel = connect(server.address)
        health, stub = health_pb2_grpc.HealthStub(channel), ExplanationServiceStub(channel)
        assert await check(health) == NOT_SERVING
        with pytest.raises(grpc.RpcError) as caught:
            await stub.Explain(small(), timeout=PATIENCE)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        assert "being loaded" in caught.value.details()
        go_on.set()
        await starting
        assert await check(health) == SERVING
    finally:
        go_on.set()
        await server.stop()


async def test_watchers_hear_of_every_change(connect, repository):
    async with running_server(repository) as server:
        health = health_pb2_grpc.HealthStub(connect(server.address))
        watches = [health.Watch(health_pb2.HealthCheckRequest(service="tiny")) for _ in range(3)]
        stranger = health.Watch(health_pb2.HealthCheckRequest(service="nobody"))
        for watch in watches:
            assert (await asyncio.wait_for(watch.read(), PATIENCE)).status == SERVING
        assert (await asyncio.wait_for(stranger.read(), PATIENCE)).status == UNKNOWN
        watches[0].cancel()  # the others must still hear what follows
        await server.stop()
        for watch in watches[1:]:
            assert (await asyncio.wait_for(watch.read(), PATIENCE)).status == NOT_SERVING
            assert await asyncio.wait_for(watch.read(), PATIENCE) is grpc.aio.EOF


async def test_reflection_lists_the_services(server):
    def listed() -> tuple[list[str], str]:
        with grpc.insecure_channel(server.address) as channel:
            database = ProtoReflectionDescriptorDatabase(channel)
            file = database.FindFileContainingSymbol("camgraph.v1.ExplanationService")
            return list(database.get_services()), file.name

    services, file = await asyncio.to_thread(listed)
    assert {"camgraph.v1.ExplanationService", "grpc.health.v1.Health"} <= set(services)
    assert file == "camgraph/v1/explanation.proto"


async def test_event_loop_is_free_while_requests_run(connect, repository):
    loader = GatedLoader()
    async with running_server(repository, loader, workers=2) as server:
        channel = connect(server.address)
        stub, health = ExplanationServiceStub(channel), health_pb2_grpc.HealthStub(channel)
        running = [asyncio.ensure_future(stub.Explain(small(), timeout=PATIENCE)) for _ in range(2)]
        await asyncio.to_thread(loader.loaded.wait_entered, 2)
        for _ in range(20):
            assert await check(health) == SERVING
        assert len((await stub.ListModels(pb.ListModelsRequest(), timeout=PATIENCE)).models) == 1
        loader.loaded.release.set()
        await asyncio.gather(*running)
        assert threading.get_ident() not in loader.loaded.threads


async def test_health_answers_soon_under_real_load(connect, repository):
    with server_process(repository, "--workers", "2") as process:
        channel = connect(process.address)
        stub, health = ExplanationServiceStub(channel), health_pb2_grpc.HealthStub(channel)
        running = asyncio.gather(*(stub.Explain(slow(), timeout=PATIENCE) for _ in range(4)))
        slowest, checks = 0.0, 0
        while not running.done():
            started = time.monotonic()
            assert await check(health) == SERVING
            slowest = max(slowest, time.monotonic() - started)
            checks += 1
            await asyncio.sleep(0.02)
        await running
    assert checks > 5
    assert slowest < 1.0


async def test_sigterm_lets_requests_in_flight_finish_and_refuses_new_ones(connect, repository):
    with server_process(repository, "--workers", "2", "--grace", "25") as process:
        stub = ExplanationServiceStub(connect(process.address))
        await stub.Explain(small(), timeout=PATIENCE)
        running = [asyncio.ensure_future(stub.Explain(slow(), timeout=PATIENCE)) for _ in range(4)]
        await stub.ListModels(pb.ListModelsRequest(), timeout=PATIENCE)  # so they have been read, too
        await asyncio.sleep(0.2)
        process.signal(signal.SIGTERM)
        await asyncio.sleep(0.1)
        assert not all(request.done() for request in running)
        with pytest.raises(grpc.RpcError) as caught:
            await stub.Explain(small(), timeout=PATIENCE)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        assert "stopping" in caught.value.details()
        for response in await asyncio.gather(*running):
            assert len(response.explanations[0].outputs) == 2
        code, log = await asyncio.to_thread(process.wait)
    assert code == 0, log
    assert "stopped drained=True" in log


async def test_second_sigterm_ends_the_process_at_once(connect, repository):
    with server_process(repository, "--workers", "1") as process:
        stub = ExplanationServiceStub(connect(process.address))
        running = [asyncio.ensure_future(stub.Explain(slow(), timeout=PATIENCE)) for _ in range(8)]
        await stub.ListModels(pb.ListModelsRequest(), timeout=PATIENCE)
        process.signal(signal.SIGTERM)
        await asyncio.sleep(0.3)
        process.signal(signal.SIGTERM)
        code, _ = await asyncio.to_thread(process.wait)
        outcomes = await asyncio.gather(*running, return_exceptions=True)
    assert code == -signal.SIGTERM
    assert any(isinstance(outcome, grpc.RpcError) for outcome in outcomes)


async def test_clients_reconnect_after_the_connection_age(connect, repository):
    async with running_server(repository, max_connection_age=0.5) as server:
        channel = connect(server.address)
        stub = ExplanationServiceStub(channel)
        await stub.Explain(small(), timeout=PATIENCE)
        waited = channel.wait_for_state_change(grpc.ChannelConnectivity.READY)
        await asyncio.wait_for(waited, PATIENCE)
        assert (await stub.Explain(small(), timeout=PATIENCE)).predictions


async def test_requests_beyond_the_grace_are_cut_off(connect, repository):
    loader = GatedLoader()
    server = Server(ServerConfig(repository, listen="127.0.0.1:0", workers=1, grace=0.2), loader)
    await server.start()
    stub = ExplanationServiceStub(connect(server.address))
    running = asyncio.ensure_future(stub.Explain(small(), timeout=PATIENCE))
    await asyncio.to_thread(loader.loaded.wait_entered)
    stopping = asyncio.ensure_future(server.stop())
    with pytest.raises(grpc.RpcError) as caught:
        await running
    assert caught.value.code() in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
    loader.loaded.release.set()
    assert await asyncio.wait_for(stopping, PATIENCE) is False


async def test_sigkill_is_unavailable_to_the_caller(connect, repository):
    with server_process(repository) as process:
        stub = ExplanationServiceStub(connect(process.address))
        await stub.Explain(small(), timeout=PATIENCE)
        process.signal(signal.SIGSTOP)  # so that it cannot answer before it is killed, however fast it is
        running = asyncio.ensure_future(stub.Explain(small(), timeout=PATIENCE))
        await asyncio.sleep(0.2)
        process.signal(signal.SIGKILL)
        with pytest.raises(grpc.RpcError) as caught:
            await running
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_sigint_stops_like_sigterm(repository, tmp_path):
    port_file = tmp_path / "port"
    with server_process(repository, "--port-file", str(port_file), "--log-format", "json") as process:
        assert process.address == f"127.0.0.1:{port_file.read_text().strip()}"
        process.signal(signal.SIGINT)
        code, log = await asyncio.to_thread(process.wait)
    assert code == 0
    entries = [json.loads(line) for line in log.splitlines()]
    assert [entry["message"] for entry in entries] == ["settings", "model ready", "stopping", "stopped"]


@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_port_file_that_cannot_be_written(repository, tmp_path, processes):
    gone = tmp_path / "gone" / "port"
    options = ["--model-repository", str(repository), "--listen", "127.0.0.1:0", "--no-trial-load"]
    ran = run_camgraph("serve", *options, "--processes", processes, "--port-file", str(gone))
    assert ran.returncode == 2
    assert f"The port-file {gone} cannot be written: No such file or directory." in ran.stderr


async def test_port_that_is_taken(repository):
    async with running_server(repository) as first:
        second = Server(ServerConfig(repository, listen=first.address))
        with pytest.raises(BindError, match="--listen"):
            await second.start()
        await second.stop()


async def test_an_empty_repository_is_a_state(tmp_path, connect):
    with server_process(tmp_path) as process:
        channel = connect(process.address)
        assert await check(health_pb2_grpc.HealthStub(channel)) == NOT_SERVING
        stub = ExplanationServiceStub(channel)
        assert not (await stub.ListModels(pb.ListModelsRequest(), timeout=PATIENCE)).models
        with pytest.raises(grpc.RpcError) as caught:
            await stub.Explain(small(), timeout=PATIENCE)
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND
        assert "has no model" in caught.value.details()
        process.signal(signal.SIGTERM)
        code, log = await asyncio.to_thread(process.wait)
    assert code == 0
    assert "there is no model" in log


async def test_missing_device_stops_the_start(repository):
    def load(_):
        raise DeviceError("There is no CUDA here.")

    server = Server(ServerConfig(repository, listen="127.0.0.1:0"), load)
    with pytest.raises(DeviceError):
        await server.start()
    await server.stop()


async def test_tls(repository, tmp_path):
    authority, certificate, key = write_certificate(tmp_path)
    async with running_server(repository, listen="localhost:0", tls_cert=certificate, tls_key=key) as server:
        credentials = grpc.ssl_channel_credentials(authority.read_bytes())
        async with grpc.aio.secure_channel(server.address, credentials) as channel:
            response = await ExplanationServiceStub(channel).Explain(small(), timeout=PATIENCE)
        assert response.predictions


async def test_tls_files_that_are_no_certificate(repository, tmp_path):
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("nonsense")
    server = Server(ServerConfig(repository, listen="127.0.0.1:0", tls_cert=nonsense, tls_key=nonsense))
    with pytest.raises(BindError, match=r"nonsense\.pem"):
        await server.start()
    await server.stop()


async def test_unix_socket(repository, tmp_path, connect):
    address = f"unix:{tmp_path}/socket"
    async with running_server(repository, listen=address) as server:
        assert server.address == address
        assert (await ExplanationServiceStub(connect(address)).Explain(small(), timeout=PATIENCE)).predictions


async def test_broken_models_do_not_keep_the_others_from_serving(repository, connect):
    write_model(repository, "torn").write_bytes(b"\x08\x07torn")
    async with running_server(repository) as server:
        states = {model.name: model.state for model in server.parts.repository.models}
        assert states == {"tiny": ModelState.READY, "torn": ModelState.FAILED}
        request = pb.ExplainRequest(model_name="tiny", image=pb.EncodedImage(data=png()))
        assert (await ExplanationServiceStub(connect(server.address)).Explain(request)).predictions


def test_command_line_errors(tmp_path, repository):
    missing = run_camgraph("serve", "--model-repository", str(tmp_path / "nowhere"))
    assert missing.returncode == 2
    half = run_camgraph("serve", "--model-repository", str(repository), "--tls-cert", __file__)
    assert half.returncode == 2
    assert "tls-key" in half.stderr
    for result in (missing, half):
        assert "Traceback" not in result.stderr


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
