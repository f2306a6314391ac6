"""The certificate of the server: checked at the start, followed when it is renewed, asked of clients."""

from __future__ import annotations

import asyncio
import logging
import shutil
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import grpc
import pytest

from camgraph.v1 import explanation_pb2 as pb
from camgraph.v1.explanation_pb2_grpc import ExplanationServiceStub
from camgraph_core.errors import UsageError
from camgraph_server.config import ServerConfig
from camgraph_server.errors import BindError
from camgraph_server.lifecycle import Server
from camgraph_server.transport.expiry import ExpiryWatch
from camgraph_server.transport.security import Security
from camgraph_server.transport.tls import read_certificate
from support.certificates import Authority
from support.serving import PATIENCE, running_server


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
async def call() -> AsyncIterator[Callable[..., object]]:
    """Lists the models over a connection of its own; the code, or the names."""
    channels: list[grpc.aio.Channel] = []

    async def list_models(address: str, authority: Authority, pair: tuple[Path, Path] | None = None) -> object:
        own = [None, None] if pair is None else [path.read_bytes() for path in reversed(pair)]
        credentials = grpc.ssl_channel_credentials(authority.file.read_bytes(), *own)
        channel = grpc.aio.secure_channel(address, credentials, [("grpc.use_local_subchannel_pool", 1)])
        channels.append(channel)
        try:
            answer = await ExplanationServiceStub(channel).ListModels(pb.ListModelsRequest(), timeout=PATIENCE)
        except grpc.RpcError as error:
            return error.code()
        return [model.name for model in answer.models]

    yield list_models
    for channel in channels:
        await channel.close()


async def served_certificate(address: str, authority: Authority) -> str:
    """Serial number of the certificate that a new connection is shown."""
    context = ssl.create_default_context(cafile=authority.file)
    host, _, port = address.rpartition(":")
    _, writer = await asyncio.open_connection(host, int(port), ssl=context, server_hostname="localhost")
    number = writer.get_extra_info("peercert")["serialNumber"]
    writer.close()
    return number


async def test_a_renewed_certificate_is_shown_to_new_connections_and_a_broken_one_is_not(
    authority, repository, caplog, call
):
    caplog.set_level(logging.INFO)
    pair, renewed, expired = (authority.issue("localhost", days=days) for days in (90, 91, -1))
    files = {"tls_cert": pair[0], "tls_key": pair[1]}
    async with running_server(repository, listen="localhost:0", **files) as server:

        async def replace(source: tuple[Path, Path], message: str) -> None:
            caplog.clear()
            for new, old in zip(source, pair, strict=True):
                shutil.copy(new, old)
            server.reload()
            async with asyncio.timeout(PATIENCE):
                while message not in [record.getMessage() for record in caplog.records]:
                    await asyncio.sleep(0.01)

        first = await served_certificate(server.address, authority)
        expires = server.parts.security.expiry.expires
        open_channel = grpc.aio.secure_channel(
            server.address, grpc.ssl_channel_credentials(authority.file.read_bytes())
        )
        stub = ExplanationServiceStub(open_channel)
        assert (await stub.ListModels(pb.ListModelsRequest(), timeout=PATIENCE)).models
        await replace(renewed, "the TLS certificate changed")
        second = await served_certificate(server.address, authority)
        assert second != first
        assert server.parts.security.expiry.expires != expires
        assert (await stub.ListModels(pb.ListModelsRequest(), timeout=PATIENCE)).models  # on the old connection
        await replace(expired, "the TLS certificate changed and cannot be used")
        assert await served_certificate(server.address, authority) == second
        pair[0].write_text("no certificate", encoding="utf-8")
        server.reload()
        assert await call(server.address, authority) == ["tiny"]
        await open_channel.close()


async def test_clients_show_a_certificate_of_the_right_authority(authority, repository, tmp_path, call):
    cert, key = authority.issue("localhost")
    partners, strangers = Authority(tmp_path, "partners"), Authority(tmp_path, "strangers")
    known = partners.issue("clinic.example.org")
    unlisted, named = partners.issue("lab.example.org"), partners.issue("x.example.org", common_name="archive")
    clients = tmp_path / "clients.toml"
    clients.write_text(
        "[clients.clinic]\ncertificate-names = ['clinic.example.org']\nmodels = ['tiny']\n"
        "[clients.archive]\ncertificate-names = ['archive']\nmodels = ['none']\n",
        encoding="utf-8",
    )
    files = {"tls_cert": cert, "tls_key": key, "tls_client_ca": partners.file}
    async with running_server(repository, listen="localhost:0", clients=clients, **files) as server:
        assert await call(server.address, authority, known) == ["tiny"]
        assert await call(server.address, authority, named) == []
        assert await call(server.address, authority, unlisted) is grpc.StatusCode.UNAUTHENTICATED
        for stranger in (None, strangers.issue("clinic.example.org"), partners.issue("clinic.example.org", days=-1)):
            assert await call(server.address, authority, stranger) is grpc.StatusCode.UNAVAILABLE
    async with running_server(repository, listen="localhost:0", **files) as server:
        assert await call(server.address, authority, unlisted) == ["tiny"]


async def test_an_authority_of_clients_is_followed_as_well(authority, repository, tmp_path, caplog, call):
    caplog.set_level(logging.INFO)
    cert, key = authority.issue("localhost")
    before, after = Authority(tmp_path, "before"), Authority(tmp_path, "after")
    client = after.issue("clinic.example.org")
    files = {"tls_cert": cert, "tls_key": key, "tls_client_ca": before.file}
    async with running_server(repository, listen="localhost:0", **files) as server:
        assert await call(server.address, authority, client) is grpc.StatusCode.UNAVAILABLE
        shutil.copy(after.file, before.file)
        server.reload()
        async with asyncio.timeout(PATIENCE):
            while "the TLS certificate changed" not in [record.getMessage() for record in caplog.records]:
                await asyncio.sleep(0.01)
        assert await call(server.address, authority, client) == ["tiny"]


def test_files_that_cannot_be_used_are_told_apart(authority, tmp_path):
    cert, key = authority.issue("localhost")
    other_key = authority.issue("localhost")[1]
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("x", encoding="utf-8")
    expired = authority.issue("localhost", days=-0.5)
    for files, sentence in [
        ((cert, other_key), "not a pair"),
        ((nonsense, key), "not a pair"),
        ((cert, tmp_path / "gone.pem"), "not a pair"),
        (expired, "expired on 20.* UTC; renew it"),
        ((cert, key, nonsense), "has no certificate in PEM form"),
        ((cert, key, key), "has no certificate in PEM form"),
        ((cert, key, tmp_path / "gone.pem"), "gone.pem cannot be read"),
    ]:
        with pytest.raises(BindError, match=sentence):
            read_certificate(*files)


def test_a_chain_expires_with_the_first_of_its_certificates(authority):
    (cert, key), (next_one, _) = authority.issue("localhost", days=90), authority.issue("between", days=9.5)
    cert.write_bytes(cert.read_bytes() + next_one.read_bytes())
    assert read_certificate(cert, key).left.days == 9


def test_authorities_may_have_names_in_any_letters_beside_them(authority):
    bundle = authority.file.read_text(encoding="utf-8")
    authority.file.write_text(f"# Autorité de certification\n{bundle}", encoding="utf-8")
    found = read_certificate(*authority.issue("localhost"), authority.file)
    assert found.context.cert_store_stats()["x509_ca"] == 1


async def test_a_server_does_not_start_with_an_expired_certificate(authority, repository):
    cert, key = authority.issue("localhost", days=-1)
    server = Server(ServerConfig(repository, tls_cert=cert, tls_key=key, listen="localhost:0", trial_load=False))
    with pytest.raises(BindError, match="expired"):
        await server.start()
    await server.stop()


def test_a_key_that_everybody_may_read_is_warned_of(authority, caplog):
    cert, key = authority.issue("localhost")
    read_certificate(cert, key)
    assert not caplog.records
    key.chmod(0o644)
    read_certificate(cert, key)
    assert [record.levelname for record in caplog.records] == ["WARNING"]


@pytest.mark.parametrize(
    ("days", "level", "message"),
    [
        (90.5, "INFO", "the TLS certificate expires"),
        (29.5, "WARNING", "the TLS certificate expires"),
        (0.5, "WARNING", "the TLS certificate expires"),
    ],
)
async def test_the_log_says_when_the_certificate_expires(days, level, message, authority, repository, caplog):
    caplog.set_level(logging.INFO)
    cert, key = authority.issue("localhost", days=days)
    security = Security(ServerConfig(repository, tls_cert=cert, tls_key=key))
    await security.start()
    await asyncio.sleep(0)  # lets the watch speak
    await security.stop()
    [record] = [record for record in caplog.records if record.name == "camgraph.tls"]
    assert (record.levelname, record.getMessage()) == (level, message)
    assert record.camgraph_facts["days"] == int(days)


async def test_without_tls_nothing_expires():
    watch = ExpiryWatch(None)
    watch.start()
    assert watch.expires is None
    await watch.stop()


@pytest.mark.parametrize("setting", ["tls_client_ca", "tls_cert", "tls_key"])
def test_settings_that_need_others(setting, repository, tmp_path):
    with pytest.raises(UsageError, match="TLS"):
        ServerConfig(repository, **{setting: tmp_path / "x.pem"})
