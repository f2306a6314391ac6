"""A server whose repository changes while it serves: no call fails, and everybody hears of it."""

from __future__ import annotations

import asyncio
import shutil
import signal
import threading
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from camgraph.v1 import explanation_pb2 as pb
from camgraph.v1.explanation_pb2_grpc import ExplanationServiceStub
from support.serving import PATIENCE, png, running_server, server_process, write_model
from support.tiny_graph import TinyGraph

OLD, NEW = TinyGraph(labels=("a", "b")), TinyGraph(labels=("a", "b", "c"))
RELOADS = 30
SOON = {"reload_interval": 0.05}


def small() -> pb.ExplainRequest:
    return pb.ExplainRequest(model_name="tiny", image=pb.EncodedImage(data=png()), num_predictions=3)


async def until(condition) -> None:
    async with asyncio.timeout(PATIENCE):
        while not await condition():
            await asyncio.sleep(0.02)


async def classes(stub) -> list[int]:
    listed = await stub.ListModels(pb.ListModelsRequest(), timeout=PATIENCE)
    return [model.num_classes for model in listed.models]


async def test_no_call_fails_while_a_model_is_reloaded_again_and_again(connect, repository):
    async with running_server(repository, reload_interval=0) as server:
        stub = ExplanationServiceStub(connect(server.address))
        done = asyncio.Event()
        counts: dict[int, int] = {}

        async def call_on_and_on() -> None:
            while not done.is_set():
                answer = await stub.Explain(small(), timeout=PATIENCE)
                counts[len(answer.predictions)] = counts.get(len(answer.predictions), 0) + 1

        callers = [asyncio.ensure_future(call_on_and_on()) for _ in range(4)]
        for number in range(RELOADS):
            write_model(repository, graph=(OLD, NEW)[number % 2])
            await asyncio.wrap_future(server.parts.keeper.ask(server.parts.repository.reload))
        done.set()
        await asyncio.gather(*callers)
    assert counts[2] > 0
    assert counts[3] > 0


async def test_the_repository_is_watched_and_becomes_empty_and_full_again(connect, repository):
    async with running_server(repository, **SOON) as server:
        channel = connect(server.address)
        stub, health = ExplanationServiceStub(channel), health_pb2_grpc.HealthStub(channel)
        watch = health.Watch(health_pb2.HealthCheckRequest(service="tiny"))
        told = health_pb2.HealthCheckResponse
        assert (await watch.read()).status == told.SERVING

        async def is_gone() -> bool:
            return await classes(stub) == []

        async def is_new() -> bool:
            return await classes(stub) == [3]

        shutil.rmtree(repository / "tiny")
        await until(is_gone)
        assert (await asyncio.wait_for(watch.read(), PATIENCE)).status == told.SERVICE_UNKNOWN
        overall = await health.Check(health_pb2.HealthCheckRequest(), timeout=PATIENCE)
        assert overall.status == told.NOT_SERVING
        with pytest.raises(grpc.RpcError) as caught:
            await stub.Explain(small(), timeout=PATIENCE)
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND
        write_model(repository, graph=NEW)
        await until(is_new)
        assert (await stub.Explain(small(), timeout=PATIENCE)).predictions
        told_last = [(await asyncio.wait_for(watch.read(), PATIENCE)).status]
        if told_last == [told.NOT_SERVING]:  # while it was loaded
            told_last.append((await asyncio.wait_for(watch.read(), PATIENCE)).status)
        assert told_last[-1] == told.SERVING


async def test_a_file_system_that_hangs_holds_up_neither_calls_nor_the_stop(connect, repository, monkeypatch):
    hangs, released, real = threading.Event(), threading.Event(), Path.iterdir

    def iterdir(path):
        if path == repository:
            hangs.set()
            released.wait(2 * PATIENCE)
        return real(path)

    async with running_server(repository, **SOON) as server:
        monkeypatch.setattr(Path, "iterdir", iterdir)
        assert await asyncio.to_thread(hangs.wait, PATIENCE)
        stub = ExplanationServiceStub(connect(server.address))
        assert (await stub.Explain(small(), timeout=PATIENCE)).predictions
        assert len((await stub.ListModels(pb.ListModelsRequest(), timeout=PATIENCE)).models) == 1
        server.reload()
        assert await asyncio.wait_for(server.stop(), PATIENCE)
        assert server.is_stuck  # so that the end of the process does not wait for the file system either
        released.set()


async def test_sighup_reloads_and_does_not_end_the_server(connect, repository):
    with server_process(repository, "--reload-interval", "0", trial=True) as process:
        stub = ExplanationServiceStub(connect(process.address))
        for graph, count in ((OLD, 2), (NEW, 3)):  # each with a trial of its own
            write_model(repository, graph=graph)
            process.signal(signal.SIGHUP)

            async def is_loaded(count=count) -> bool:
                return await classes(stub) == [count]

            await until(is_loaded)
        (repository / "tiny/1/model.onnx").write_bytes(b"not a model")
        process.signal(signal.SIGHUP)

        async def is_told() -> bool:
            listed = await stub.ListModels(pb.ListModelsRequest(), timeout=PATIENCE)
            return "cannot be loaded" in listed.models[0].reason

        await until(is_told)
        assert len((await stub.Explain(small(), timeout=PATIENCE)).predictions) == 3
        process.signal(signal.SIGTERM)
        code, log = await asyncio.to_thread(process.wait)
    assert code == 0, log
    assert log.count("reloading") == 3


async def test_sighup_to_several_processes_reaches_each(repository):
    options = ("--reload-interval", "0", "--processes", "2")
    own_connection = [("grpc.use_local_subchannel_pool", 1)]
    with server_process(repository, *options) as process:
        channels = [grpc.aio.insecure_channel(process.address, own_connection) for _ in range(20)]  # to both, surely
        write_model(repository, graph=NEW)
        process.signal(signal.SIGHUP)

        async def is_loaded() -> bool:
            return all([await classes(ExplanationServiceStub(channel)) == [3] for channel in channels])

        await until(is_loaded)
        await asyncio.gather(*(channel.close() for channel in channels))
        process.signal(signal.SIGTERM)
        code, log = await asyncio.to_thread(process.wait)
    assert code == 0, log
    assert log.count("model ready") == 4
