"""Who may call what on a real server: tokens, models, rates, and a clients file that changes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc

from camgraph.v1 import explanation_pb2 as pb
from camgraph.v1 import model_control_pb2 as control_pb
from camgraph.v1.explanation_pb2_grpc import ExplanationServiceStub
from camgraph.v1.model_control_pb2_grpc import ModelControlServiceStub
from camgraph_core.errors import UsageError
from camgraph_server.config import ServerConfig
from camgraph_server.lifecycle import Server
from camgraph_server.transport.rules import EXCEPTIONS
from support.methods import answer_to_garbage, registered_methods
from support.serving import PATIENCE, GatedLoader, png, running_server, write_model

TOKEN, OTHER = "a-token-of-the-clinic", "a-token-of-the-load-test"
CLINIC = f"[clients.clinic]\ntokens = ['{TOKEN}']\n"
FILE = f"{CLINIC}models = ['tiny*']\n[clients.load]\ntokens = ['{OTHER}']\n"
UNKNOWN = grpc.StatusCode.UNAUTHENTICATED
DENIED = grpc.StatusCode.PERMISSION_DENIED


def bearer(token: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {token}"),)


def request(model: str = "", **fields) -> pb.ExplainRequest:
    return pb.ExplainRequest(model_name=model, image=pb.EncodedImage(data=png()), **fields)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.01)


@pytest.fixture
def clients(tmp_path: Path) -> Path:
    path = tmp_path / "clients.toml"
    path.write_text(FILE, encoding="utf-8")
    return path


async def test_without_a_valid_token_no_method_answers_but_those_listed(connect, repository, clients):
    with registered_methods() as methods:
        async with running_server(repository, clients=clients) as server:
            channel = connect(server.address)
            for method in (*methods, "/a.service/that_nobody_has"):
                rule = EXCEPTIONS.get(method)
                for metadata in ((), bearer("a-token-of-nobody-at-all"), (("authorization", "Basic x"),)):
                    code, text = await answer_to_garbage(channel, method, PATIENCE, metadata)
                    assert (code is UNKNOWN) == (rule is None or not rule.is_open), method
                    assert "clinic" not in text
                code, _ = await answer_to_garbage(channel, method, PATIENCE, bearer(TOKEN))
                assert code is not UNKNOWN, method


async def test_a_client_sees_its_own_models_alone(connect, repository, clients):
    write_model(repository, "secret")
    write_model(repository, "tiny-2")
    async with running_server(repository, clients=clients) as server:
        channel = connect(server.address)
        stub = ExplanationServiceStub(channel)
        listed = await stub.ListModels(pb.ListModelsRequest(), timeout=PATIENCE, metadata=bearer(TOKEN))
        assert [model.name for model in listed.models] == ["tiny", "tiny-2"]
        listed = await stub.ListModels(pb.ListModelsRequest(), timeout=PATIENCE, metadata=bearer(OTHER))
        assert [model.name for model in listed.models] == ["secret", "tiny", "tiny-2"]
        assert (await stub.Explain(request("tiny"), timeout=PATIENCE, metadata=bearer(TOKEN))).predictions

        async def refused(call) -> tuple[grpc.StatusCode, str]:
            with pytest.raises(grpc.RpcError) as caught:
                await call
            return caught.value.code(), caught.value.details()

        for name in ("secret", "nowhere"):
            expected = DENIED, f"You may not use a model called '{name}' here; ask the operator of the server."
            assert await refused(stub.Explain(request(name), metadata=bearer(TOKEN), timeout=PATIENCE)) == expected
            asked = pb.GetModelRequest(name=name)
            assert await refused(stub.GetModel(asked, metadata=bearer(TOKEN), timeout=PATIENCE)) == expected
        for name in ("", "tiny-3"):  # errors that name models
            code, text = await refused(stub.Explain(request(name), metadata=bearer(TOKEN), timeout=PATIENCE))
            assert code in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND)
            assert "tiny-2" in text
            assert "secret" not in text

        health = health_pb2_grpc.HealthStub(channel)
        for name, metadata, is_told in [
            ("", (), True),
            ("camgraph.v1.ExplanationService", (), True),
            ("tiny", (), False),
            ("tiny", bearer(TOKEN), True),
            ("secret", bearer(TOKEN), False),
            ("secret", bearer(OTHER), True),
        ]:
            asked = health_pb2.HealthCheckRequest(service=name)
            watched = await health.Watch(asked, metadata=metadata).read()
            if is_told:
                assert (await health.Check(asked, timeout=PATIENCE, metadata=metadata)).status == watched.status == 1
            else:
                code, _ = await refused(health.Check(asked, timeout=PATIENCE, metadata=metadata))
                assert code is grpc.StatusCode.NOT_FOUND
                assert watched.status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN


async def test_a_changed_file_holds_at_once_and_a_broken_one_does_not(connect, repository, clients, caplog):
    caplog.set_level(logging.INFO)
    said = [record.getMessage() for record in caplog.records]
    async with running_server(repository, clients=clients) as server:
        stub = ExplanationServiceStub(connect(server.address))

        async def code(token: str) -> grpc.StatusCode:
            call = stub.ListModels(pb.ListModelsRequest(), timeout=PATIENCE, metadata=bearer(token))
            return await call.code()

        async def write(text: str, message: str) -> None:
            caplog.clear()
            (clients.parent / "new").write_text(text, encoding="utf-8")
            (clients.parent / "new").replace(clients)
            server.reload()
            await until(lambda: message in [record.getMessage() for record in caplog.records])

        assert await code(TOKEN) is grpc.StatusCode.OK
        await write(FILE.replace(TOKEN, "a-token-that-is-new"), "the clients file changed")
        assert await code(TOKEN) is UNKNOWN
        assert await code("a-token-that-is-new") is grpc.StatusCode.OK
        await write(f"[clients.a]\ntokens = ['{TOKEN}', 'short']", "the clients file changed and cannot be used")
        assert await code(TOKEN) is UNKNOWN
        assert await code("a-token-that-is-new") is grpc.StatusCode.OK
        clients.unlink()
        server.reload()
        await until(lambda: len([r for r in caplog.records if "cannot be used" in r.getMessage()]) == 2)
        assert await code("a-token-that-is-new") is grpc.StatusCode.OK
    for record in caplog.records:
        said += [record.getMessage(), repr(getattr(record, "camgraph_facts", ""))]
    assert TOKEN not in "".join(said)
    assert "a-token-that-is-new" not in "".join(said)


async def test_who_sends_too_fast_is_told_when_to_come_again(connect, repository, clients, caplog):
    caplog.set_level(logging.INFO)
    clients.write_text(f"{CLINIC}rate = 0.01\nburst = 2\n[clients.load]\ntokens = ['{OTHER}']", encoding="utf-8")
    async with running_server(repository, clients=clients) as server:
        stub = ExplanationServiceStub(connect(server.address))
        for _ in range(2):
            assert (await stub.Explain(request(), timeout=PATIENCE, metadata=bearer(TOKEN))).predictions
        with pytest.raises(grpc.RpcError) as caught:
            await stub.Explain(request(), timeout=PATIENCE, metadata=bearer(TOKEN))
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "more than 0.01 requests per second" in caught.value.details()
        trailers = dict(caught.value.trailing_metadata())
        status, retry = status_pb2.Status.FromString(trailers["grpc-status-details-bin"]), error_details_pb2.RetryInfo()
        assert any(detail.Unpack(retry) for detail in status.details)
        assert 90 < retry.retry_delay.ToSeconds() <= 100
        assert (await stub.Explain(request(), timeout=PATIENCE, metadata=bearer(OTHER))).predictions
    logged = [r.camgraph_facts for r in caplog.records if r.getMessage() == "call"]
    assert [(facts["client"], facts["status"]) for facts in logged] == [
        ("clinic", "OK"),
        ("clinic", "OK"),
        ("clinic", "RESOURCE_EXHAUSTED"),
        ("load", "OK"),
    ]


async def test_who_has_too_many_calls_waits_for_an_answer(connect, repository, clients):
    clients.write_text(f"{CLINIC}calls-at-once = 1", encoding="utf-8")
    loader = GatedLoader()
    async with running_server(repository, loader, clients=clients) as server:
        stub = ExplanationServiceStub(connect(server.address))
        first = asyncio.ensure_future(stub.Explain(request(), timeout=PATIENCE, metadata=bearer(TOKEN)))
        await asyncio.to_thread(loader.loaded.wait_entered)
        with pytest.raises(grpc.RpcError) as caught:
            await stub.Explain(request(), timeout=PATIENCE, metadata=bearer(TOKEN))
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        loader.loaded.release.set()
        assert (await first).predictions
        assert (await stub.Explain(request(), timeout=PATIENCE, metadata=bearer(TOKEN))).predictions


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"listen": "0.0.0.0:0"}, "is not encrypted"),
        ({"listen": "0.0.0.0:0", "allow_plaintext_tokens": True}, ""),
        ({"listen": "localhost:0"}, ""),
        ({"listen": "[::1]:0"}, ""),
        ({"listen": "camgraph.example.org:0"}, "is not encrypted"),
    ],
)
async def test_tokens_are_not_taken_where_others_can_read_them(settings, sentence, repository, clients):
    server = Server(ServerConfig(repository, clients=clients, trial_load=False, **settings))
    if not sentence:
        await server.parts.security.start()
        await server.parts.security.stop()
        return
    with pytest.raises(UsageError, match=sentence):
        await server.start()
    await server.stop()


async def test_names_of_certificates_need_certificates(repository, clients):
    clients.write_text("[clients.a]\ncertificate-names = ['x']", encoding="utf-8")
    server = Server(ServerConfig(repository, clients=clients, trial_load=False, listen="127.0.0.1:0"))
    with pytest.raises(UsageError, match="set tls-client-ca"):
        await server.start()
    await server.stop()


async def test_reflection_can_be_turned_off(connect, repository):
    with registered_methods() as methods:
        async with running_server(repository, reflection=False) as server:
            reflection = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
            code, _ = await answer_to_garbage(connect(server.address), reflection, PATIENCE)
            assert code is grpc.StatusCode.UNIMPLEMENTED
    assert not any("reflection" in method for method in methods)


@pytest.mark.parametrize("method", ["RepositoryIndex", "LoadModel", "UnloadModel", "ReloadRepository"])
async def test_models_are_changed_by_those_who_may(method, connect, repository, clients):
    clients.write_text(f"{CLINIC}[clients.load]\ntokens = ['{OTHER}']\ncontrol = true", encoding="utf-8")
    async with running_server(repository, clients=clients, model_control=True) as server:
        stub = ModelControlServiceStub(connect(server.address))
        asked = getattr(control_pb, f"{method}Request")(**({"name": "tiny"} if method.endswith("Model") else {}))
        assert await getattr(stub, method)(asked, timeout=PATIENCE, metadata=bearer(TOKEN)).code() is DENIED
        assert await getattr(stub, method)(asked, timeout=PATIENCE, metadata=bearer(OTHER)).code() is grpc.StatusCode.OK


async def test_with_a_list_of_clients_all_methods_of_control_are_for_those_who_may(connect, repository, clients):
    with registered_methods() as methods:
        async with running_server(repository, clients=clients, model_control=True) as server:
            channel = connect(server.address)
            control = [method for method in methods if "ModelControlService" in method]
            assert len(control) >= 4
            for method in control:
                assert (await answer_to_garbage(channel, method, PATIENCE, bearer(TOKEN)))[0] is DENIED


async def test_a_greedy_client_does_not_starve_another(connect, repository, clients):
    clients.write_text(f"{CLINIC}[clients.load]\ntokens = ['{OTHER}']", encoding="utf-8")
    loader = GatedLoader()
    async with running_server(repository, loader, workers=1, queue_capacity=20, clients=clients) as server:
        stub = ExplanationServiceStub(connect(server.address))
        ended: list[str] = []

        async def call(token: str) -> grpc.StatusCode:
            code = await stub.Explain(request(), timeout=PATIENCE, metadata=bearer(token)).code()
            ended.append(token)
            return code

        greedy = [asyncio.ensure_future(call(OTHER)) for _ in range(100)]
        await until(lambda: server.parts.scheduler.admitted == 21 and len(ended) == 79)
        other = asyncio.ensure_future(call(TOKEN))
        await until(lambda: len(ended) == 80)  # one of the greedy client's gave way
        loader.loaded.release.set()
        assert await other is grpc.StatusCode.OK
        codes = await asyncio.gather(*greedy)
        assert codes.count(grpc.StatusCode.OK) == 20
        assert codes.count(grpc.StatusCode.UNAVAILABLE) == 79  # the server was full
        assert codes.count(grpc.StatusCode.RESOURCE_EXHAUSTED) == 1  # it had more than its share
        assert ended.index(TOKEN) <= 80 + 3
