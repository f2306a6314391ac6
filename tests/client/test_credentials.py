"""What a client shows of itself: a token with every call, from a file or a variable, and a certificate."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from camgraph_client import AsyncClient, Client, Connection, Outcome, Tls, Token
from camgraph_client.credentials import is_local
from camgraph_core.errors import ForbiddenError, OverLimitError, UnauthenticatedError, UsageError
from camgraph_core.result import Result
from camgraph_runtime import Explainer
from support.certificates import Authority
from support.compare import assert_same
from support.serving import png, run_camgraph, server_thread

TOKEN = "a-token-of-the-clinic"


@pytest.fixture
def clients(tmp_path: Path) -> Path:
    path = tmp_path / "clients.toml"
    path.write_text(
        f"[clients.clinic]\ntokens = ['{TOKEN}']\n"
        "[clients.slow]\ntokens = ['a-token-of-the-slow']\nrate = 0.001\n"
        "[clients.none]\ntokens = ['a-token-of-nothing']\nmodels = ['x']\n",
        encoding="utf-8",
    )
    return path


def names(connection: Connection) -> list[list[str]]:
    """The models that both clients see."""

    async def asynchronous() -> list[str]:
        async with AsyncClient(connection) as client:
            return [model.name for model in await client.list_models()]

    with Client(connection) as client:
        return [[model.name for model in client.list_models()], asyncio.run(asynchronous())]


def test_a_token_goes_with_every_call_and_a_new_one_holds_at_once(repository, clients, tmp_path):
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n", encoding="utf-8")
    with server_thread(repository, clients=clients) as server:
        assert names(Connection(server.address, token=Token(TOKEN))) == [["tiny"], ["tiny"]]
        with pytest.raises(UnauthenticatedError, match="does not know you"):
            names(Connection(server.address))
        with Client(Connection(server.address, token=Token(file=file))) as client:
            assert client.model("tiny").explain(png()).predictions
            file.write_text("a-token-that-is-wrong", encoding="utf-8")
            with pytest.raises(UnauthenticatedError, match="token is not valid"):
                client.list_models()
            file.write_text(TOKEN, encoding="utf-8")
            assert client.list_models()


def test_errors_of_limits_are_told_apart(repository, clients):
    with server_thread(repository, clients=clients) as server:
        with Client(Connection(server.address, token=Token("a-token-of-the-slow"))) as client:
            client.list_models()
            with pytest.raises(OverLimitError, match="which is your limit") as caught:
                client.list_models()
            assert 500 < caught.value.retry_after <= 1000
        with (
            Client(Connection(server.address, token=Token("a-token-of-nothing"))) as client,
            pytest.raises(ForbiddenError, match="'tiny'"),
        ):
            client.model("tiny").explain(png())


def test_commands_take_a_token_from_a_file_or_a_variable(repository, clients, tmp_path):
    file = tmp_path / "token"
    file.write_text(TOKEN, encoding="utf-8")
    with server_thread(repository, clients=clients) as server:
        command = ["models", "--server", server.address]
        assert "does not know you" in run_camgraph(*command).stderr
        assert "tiny" in run_camgraph(*command, CAMGRAPH_TOKEN=TOKEN).stdout
        assert "tiny" in run_camgraph(*command, "--token-file", str(file)).stdout
        wrong = run_camgraph(*command, CAMGRAPH_TOKEN="two words")
        assert "has characters that no token has" in wrong.stderr
        assert "two words" not in wrong.stderr


def test_a_certificate_is_shown_to_a_server_that_asks(repository, clients, tmp_path):
    authority = Authority(tmp_path)
    server_cert, server_key = authority.issue("localhost")
    own_cert, own_key = authority.issue("clinic.example.org")
    clients.write_text("[clients.clinic]\ncertificate-names = ['clinic.example.org']", encoding="utf-8")
    settings = {"tls_cert": server_cert, "tls_key": server_key, "tls_client_ca": authority.file}
    with server_thread(repository, listen="localhost:0", clients=clients, **settings) as server:
        shown = Tls(authority.file, cert_file=own_cert, key_file=own_key)
        assert names(Connection(server.address, shown)) == [["tiny"], ["tiny"]]
        files = ["--tls-ca", str(authority.file), "--tls-cert", str(own_cert), "--tls-key", str(own_key)]
        assert "tiny" in run_camgraph("models", "--server", server.address, *files).stdout


@pytest.mark.parametrize(
    ("address", "local"),
    [
        ("localhost:8500", True),
        ("127.1.2.3:8500", True),
        ("[::1]:8500", True),
        ("unix:/run/camgraph.sock", True),
        ("unix-abstract:camgraph", True),
        ("dns:///localhost:8500", True),
        ("ipv4:127.0.0.1:8500", True),
        ("camgraph:8500", False),
        ("10.0.0.7:8500", False),
        ("localhost.example.org:8500", False),
        ("dns:///camgraph:8500", False),
        ("", False),
    ],
)
def test_where_a_token_stays_on_this_machine(address, local):
    assert is_local(address) == local


def test_a_token_is_not_sent_where_others_can_read_it():
    token = Token(TOKEN)
    with pytest.raises(UsageError, match="others can read it"):
        Connection("camgraph:8500", token=token)
    for connection in (
        Connection("camgraph:8500", Tls(), token=token),
        Connection("camgraph:8500", token=token, allow_plaintext_token=True),
    ):
        assert connection.token is token
        assert TOKEN not in repr(connection)


def test_what_is_no_token(tmp_path):
    for arguments in (
        {},
        {"text": "x", "file": tmp_path},
        {"text": ""},
        {"text": "a b"},
        {"text": "ä"},
        {"text": "a\n"},
    ):
        with pytest.raises(UsageError):
            Token(**arguments)
    with pytest.raises(UsageError, match="cannot be read"):
        Token(file=tmp_path / "gone").header()
    with pytest.raises(UsageError, match="both cert_file and key_file"):
        Tls(cert_file=tmp_path)


@pytest.fixture(params=["plain", "TLS", "mTLS"])
def known(request, repository, clients, tmp_path):
    """A connection to a server that knows its clients by tokens, however the network between is encrypted."""
    authority = Authority(tmp_path)
    server_cert, server_key = authority.issue("localhost")
    own_cert, own_key = authority.issue("clinic.example.org")
    settings, tls = {"tls_cert": server_cert, "tls_key": server_key}, Tls(authority.file)
    if request.param == "mTLS":
        settings["tls_client_ca"], tls = authority.file, Tls(authority.file, cert_file=own_cert, key_file=own_key)
    if request.param == "plain":
        settings, tls = {}, None
    with server_thread(repository, listen="localhost:0", clients=clients, **settings) as server:
        yield Connection(server.address, tls, token=Token(TOKEN))


def explained(connection: Connection) -> list[list[Outcome]]:
    """The outcomes of three images, one of them broken, over a stream of each client."""
    images = [png(seed=1), b"no picture", png(seed=2)]

    async def asynchronous() -> list[Outcome]:
        async with AsyncClient(connection) as client:
            return [outcome async for outcome in client.model("tiny").explain_many(images)]

    with Client(connection) as client:
        return [list(client.model("tiny").explain_many(images)), asyncio.run(asynchronous())]


def in_pieces(connection: Connection) -> list[Result]:
    """What each client gets of one image in pieces."""

    async def asynchronous() -> Result:
        async with AsyncClient(connection) as client:
            return await client.model("tiny", chunked=True).explain(png(seed=1))

    with Client(connection) as client:
        return [client.model("tiny", chunked=True).explain(png(seed=1)), asyncio.run(asynchronous())]


def test_streams_and_answers_in_pieces_show_who_calls(known, graph):
    expected = [Explainer(graph).explain(png(seed=seed)) for seed in (1, 2)]
    for outcomes in explained(known):
        assert [outcome.error is None for outcome in outcomes] == [True, False, True]
        assert_same(outcomes[0].result, expected[0])
        assert_same(outcomes[2].result, expected[1])
    for result in in_pieces(known):
        assert_same(result, expected[0])


def first_of(answers: list[list[Outcome]] | list[Result]) -> Result:
    """The first result; in a stream each image is refused on its own where its model is not allowed."""
    return answers[0][0].result if isinstance(answers[0], list) else answers[0]


@pytest.mark.parametrize("asked", [explained, in_pieces])
def test_streams_and_answers_in_pieces_are_refused_to_who_is_not_known(known, asked):
    for token, error in (
        (None, UnauthenticatedError),
        (Token("a-token-that-is-wrong"), UnauthenticatedError),
        (Token("a-token-of-nothing"), ForbiddenError),
    ):
        with pytest.raises(error):
            first_of(asked(replace(known, token=token)))
