"""Who may call over HTTP: tokens, certificates, models and rates are those of gRPC, from the same files."""

from __future__ import annotations

import contextlib
import shutil
import ssl
import tracemalloc
from pathlib import Path

import httpx
import pytest

from camgraph_core.errors import UsageError
from camgraph_server.lifecycle import Server
from support.certificates import Authority
from support.rest import EXPLAIN, body, client_of, http_server, raw_connection, until
from support.serving import PATIENCE, write_model

TOKEN, OTHER = "a-token-of-the-clinic", "a-token-of-the-load-test"
FILE = f"""
[clients.clinic]
tokens = ['{TOKEN}']
models = ['tiny*']

[clients.load]
tokens = ['{OTHER}']
rate = 0.01
burst = 2
control = false
"""


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


@pytest.fixture
def clients(tmp_path: Path) -> Path:
    path = tmp_path / "clients.toml"
    path.write_text(FILE, encoding="utf-8")
    return path


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


OPEN = ("/", "/v2/health/live", "/v2/health/ready")


async def test_without_a_valid_token_nothing_answers_but_probes(repository, clients):
    async with http_server(repository, clients=clients, model_control=True) as server, client_of(server) as client:
        for headers in ({}, bearer("a-token-of-nobody-at-all"), {"authorization": "Basic x"}):
            for path in OPEN:
                assert (await client.get(path, headers=headers)).status_code == 200
            for path in ("/v1/models", "/v1/models/tiny", "/v2", "/v2/models/tiny", "/metrics", "/nothing"):
                answer = await client.get(path, headers=headers)
                assert (answer.status_code, answer.json()["reason"]) == (401, "UNAUTHENTICATED"), path
                assert answer.headers["www-authenticate"] == "Bearer"
            for path in (EXPLAIN, "/v2/models/tiny/infer", "/v2/repository/index", "/v2/repository/models/tiny/unload"):
                assert (await client.post(path, json=body(), headers=headers)).status_code == 401
        twice = [("authorization", f"Bearer {TOKEN}")] * 2
        assert (await client.get("/v1/models", headers=twice)).status_code == 401


async def test_a_client_sees_its_models_alone(repository, clients):
    write_model(repository, "secret")
    async with http_server(repository, clients=clients) as server, client_of(server, headers=bearer(TOKEN)) as client:
        assert (await client.get("/v1/models")).json() == {"models": ["tiny"]}
        for path in ("/v1/models/secret", "/v2/models/secret.tensors", "/v1/models/nothing"):
            answer = await client.get(path)
            assert (answer.status_code, answer.json()["reason"]) == (403, "FORBIDDEN")
        answer = await client.post("/v1/models/secret:explain", json=body())
        assert answer.status_code == 403
        assert (await client.post(EXPLAIN, json=body())).status_code == 200


@pytest.mark.parametrize(("instances", "status"), [(2, 200), (3, 429)])  # two may come at once
async def test_a_client_is_held_to_its_rate_also_with_several_instances(instances, status, repository, clients):
    async with http_server(repository, clients=clients, model_control=True) as server:
        async with client_of(server, headers=bearer(OTHER)) as client:
            answer = await client.post(EXPLAIN, json=body() | {"instances": body()["instances"] * instances})
            assert answer.status_code == status
            assert status == 200 or answer.json()["reason"] == "OVER_CLIENT_LIMIT"
            answer = await client.get("/v1/models")
            assert answer.status_code == 429
            assert 50 <= int(answer.headers["retry-after"]) <= 100
        async with client_of(server, headers=bearer(TOKEN)) as client:
            assert (await client.get("/v1/models")).status_code == 200


async def test_only_who_may_unloads_models(repository, clients):
    async with http_server(repository, clients=clients, model_control=True) as server:  # noqa: SIM117 - the address
        async with client_of(server, headers=bearer(OTHER)) as client:
            answer = await client.post("/v2/repository/models/tiny/unload")
            assert (answer.status_code, answer.json()["reason"]) == (403, "FORBIDDEN")


async def test_a_caller_does_not_say_who_it_is(repository, caplog):
    caplog.set_level("INFO")
    async with http_server(repository) as server, client_of(server) as client:
        await client.get("/v1/models", headers={"x-forwarded-for": "10.9.8.7", "forwarded": "for=10.9.8.7"})
    [call] = [record.camgraph_facts for record in caplog.records if record.getMessage() == "call"]
    assert call["peer"].startswith("ipv4:127.0.0.1:")


@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0"])
async def test_tokens_are_not_taken_over_plain_http_from_elsewhere(address, repository, clients):
    server = Server(http_config(repository, clients, address))
    with pytest.raises(UsageError, match="not encrypted"):
        await server.start()
    await server.stop()


def http_config(repository: Path, clients: Path, address: str):
    from camgraph_server.config import ServerConfig  # noqa: PLC0415 - for this one

    return ServerConfig(
        model_repository=repository, listen="127.0.0.1:0", http=address, clients=clients, trial_load=False
    )


def context(authority: Authority, pair: tuple[Path, Path] | None = None) -> ssl.SSLContext:
    made = ssl.create_default_context(cafile=authority.file)
    if pair is not None:
        made.load_cert_chain(*pair)
    return made


async def status(server: Server, verify: ssl.SSLContext, path: str = "/v1/models") -> int:
    url = f"https://localhost:{server.http_address.rpartition(':')[2]}"
    async with httpx.AsyncClient(base_url=url, verify=verify, timeout=PATIENCE, trust_env=False) as client:
        return (await client.get(path)).status_code


async def test_a_renewed_certificate_is_shown_to_new_connections(authority, repository, tmp_path):
    newer = Authority(tmp_path, "newer")
    pair, renewed = authority.issue("localhost"), newer.issue("localhost")
    async with http_server(repository, listen="localhost:0", tls_cert=pair[0], tls_key=pair[1]) as server:
        assert await status(server, context(authority)) == 200
        with pytest.raises(httpx.ConnectError):
            await status(server, context(newer))
        for new, old in zip(renewed, pair, strict=True):
            shutil.copy(new, old)
        before = server.parts.security.certificate.get()
        server.reload()
        await until(lambda: server.parts.security.certificate.get() is not before)
        assert await status(server, context(newer)) == 200
        with pytest.raises(httpx.ConnectError):
            await status(server, context(authority))


async def test_connections_that_stop_in_their_handshake_take_little(authority, repository):
    pair, count = authority.issue("localhost"), 40
    async with (
        http_server(repository, listen="localhost:0", tls_cert=pair[0], tls_key=pair[1]) as server,
        contextlib.AsyncExitStack() as stack,
    ):
        assert await status(server, context(authority)) == 200
        tracemalloc.start()
        stack.callback(tracemalloc.stop)
        for _ in range(count):
            _, writer = await stack.enter_async_context(raw_connection(server.http_address))
            writer.write(b"\x16\x03\x01\x02\x00")  # the beginning of a record
        assert await status(server, context(authority)) == 200  # it comes after them
        assert tracemalloc.get_traced_memory()[0] < count * 120_000


async def test_clients_are_known_by_their_certificates_and_the_authorities_are_followed(
    authority, repository, tmp_path
):
    clients = tmp_path / "clients.toml"
    clients.write_text("[clients.clinic]\ncertificate-names = ['clinic.example.org']\n", encoding="utf-8")
    pair, other = authority.issue("localhost"), Authority(tmp_path, "other")
    known, unknown, foreign = (
        authority.issue("clinic.example.org"),
        authority.issue("else.example.org"),
        other.issue("clinic.example.org"),
    )
    trusted = tmp_path / "trusted.pem"
    shutil.copy(authority.file, trusted)
    files = {"tls_cert": pair[0], "tls_key": pair[1], "tls_client_ca": trusted, "clients": clients}
    async with http_server(repository, listen="localhost:0", **files) as server:
        assert await status(server, context(authority, known)) == 200
        assert await status(server, context(authority, unknown)) == 401
        for pair_ in (None, foreign):
            with pytest.raises(httpx.TransportError):
                await status(server, context(authority, pair_))
        shutil.copy(other.file, trusted)
        before = server.parts.security.certificate.get()
        server.reload()
        await until(lambda: server.parts.security.certificate.get() is not before)
        assert await status(server, context(authority, foreign)) == 200
        with pytest.raises(httpx.TransportError):
            await status(server, context(authority, known))
