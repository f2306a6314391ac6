"""The clients file: what it may say, what is refused with which sentence, and what clients may do by it."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from camgraph_core.errors import ForbiddenError, OverLimitError, UnauthenticatedError, UsageError
from camgraph_server.access.client import Client
from camgraph_server.access.clients_file import read_clients
from camgraph_server.access.door import Door
from camgraph_server.access.limits import ClientLimits
from camgraph_server.followed import Followed

TOKEN = "correct-horse-battery-staple"
OTHER = "another-token-of-32-characters.."
DIGEST = hashlib.sha256(TOKEN.encode()).hexdigest()
PEER = "ipv4:10.0.0.7:51234"

WHOLE = f"""
[clients.radiology]
token-sha256 = ["{DIGEST}"]
certificate-names = ["radiology.example.org", "spiffe://example.org/radiology"]
models = ["efficientnet*", "resnet50"]
rate = 5
burst = 20
calls-at-once = 8
control = true

[clients."load.test-1"]
tokens = ["{OTHER}"]
"""


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "clients.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_a_client_has_what_the_file_says_and_others_the_defaults(tmp_path):
    clients = read_clients(written(tmp_path, WHOLE))
    radiology = Client(
        "radiology",
        is_known=True,
        models=("efficientnet*", "resnet50"),
        rate=5.0,
        burst=20.0,
        calls_at_once=8,
        control=True,
    )
    assert clients.with_token(TOKEN) == radiology
    assert clients.with_certificate(["x", "spiffe://example.org/radiology"]) == radiology
    assert clients.with_token(OTHER) == Client("load.test-1", is_known=True, control=False)
    for wrong in ("", TOKEN[:-1], TOKEN + "x", DIGEST, "\udcff"):
        assert clients.with_token(wrong) is None
    assert clients.with_certificate(["radiology", ""]) is None


def test_no_token_is_kept(tmp_path):
    clients = read_clients(written(tmp_path, WHOLE))
    assert OTHER not in repr(vars(clients))
    assert OTHER not in repr(clients.with_token(OTHER))


BROKEN = {
    "not TOML": ("[clients.a\ntokens = ['secret-secret-secret']", "is not TOML at line 1"),
    "not text": (b"\xff\xfe", "is not TOML"),
    "a number without end": (f"[clients.a]\ntokens = ['{OTHER}']\nrate = {'9' * 5000}", "is not TOML"),
    "lists inside one another": ("[clients.a]\ntokens = " + "[" * 5000, "is not TOML"),
    "empty": ("", "must have tables"),
    "something else": ("[client.a]\ntokens = []", "must have tables"),
    "no table": ("[clients]\na = 1", r"\[clients.a\] is not a table"),
    "odd name": ("[clients.'a b']\ntokens = []", "a name has at most 64"),
    "nobody": ("[clients.a]\nrate = 1", "neither a token nor a certificate"),
    "short token": ("[clients.a]\ntokens = ['secret-secret']", r"number 1\) that is not 16 to 4096"),
    "token with spaces": ("[clients.a]\ntokens = ['secret secret secret']", "is not 16 to 4096"),
    "not a digest": (f"[clients.a]\ntoken-sha256 = ['{DIGEST[:-1]}']", "64 hexadecimal"),
    "a digest that is no text": ("[clients.a]\ntoken-sha256 = [1]", "is not a list of texts"),
    "token of two": (f"[clients.a]\ntokens = ['{OTHER}']\n[clients.b]\ntokens = ['{OTHER}']", "that a has, too"),
    "name of two": (
        "[clients.a]\ncertificate-names = ['x']\n[clients.b]\ncertificate-names = ['x']",
        "'x', which a has, too",
    ),
    "unknown key": (f"[clients.a]\ntokens = ['{OTHER}']\nmodel = ['x']", "model is unknown; there are burst"),
    "no model": (f"[clients.a]\ntokens = ['{OTHER}']\nmodels = []", "leave it out"),
    "models as a text": (f"[clients.a]\ntokens = ['{OTHER}']\nmodels = 'x'", "is not a list of texts"),
    "rate of nothing": (f"[clients.a]\ntokens = ['{OTHER}']\nrate = 0", "must be greater than 0"),
    "rate that is no number": (f"[clients.a]\ntokens = ['{OTHER}']\nrate = nan", "must be greater than 0"),
    "rate without end": (f"[clients.a]\ntokens = ['{OTHER}']\nrate = inf", "must be greater than 0 and less than 1e9"),
    "burst alone": (f"[clients.a]\ntokens = ['{OTHER}']\nburst = 5", "needs a rate"),
    "half a call": (f"[clients.a]\ntokens = ['{OTHER}']\ncalls-at-once = 1.5", "is not a whole number"),
    "true calls": (f"[clients.a]\ntokens = ['{OTHER}']\ncalls-at-once = true", "is not a whole number"),
    "control maybe": (f"[clients.a]\ntokens = ['{OTHER}']\ncontrol = 'yes'", "neither true nor false"),
    "too large": ("#" * (1024 * 1024 + 1), "is larger than"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_cannot_be_is_refused_with_a_sentence_that_tells_no_token(case, tmp_path):
    text, sentence = BROKEN[case]
    with pytest.raises(UsageError, match=sentence) as caught:
        read_clients(written(tmp_path, text))
    assert "secret-secret" not in str(caught.value)
    assert OTHER not in str(caught.value)
    assert "clients.toml" in str(caught.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        read_clients(tmp_path / "clients.toml")


@pytest.mark.parametrize(
    ("headers", "sentence"),
    [
        ([], "does not know you"),
        (["Bearer wrong-token-wrong-token"], "token is not valid"),
        (["Bearer "], "token is not valid"),
        (["Bearer " + "x" * 5000], "token is not valid"),
        (["Basic dXNlcjpwYXNz"], "must come once"),
        ([TOKEN], "must come once"),
        ([f"Bearer {TOKEN}", f"Bearer {TOKEN}"], "must come once"),
    ],
)
def test_who_shows_nothing_valid_is_not_let_in(headers, sentence, tmp_path):
    clients = read_clients(written(tmp_path, WHOLE))
    with pytest.raises(UnauthenticatedError, match=sentence) as caught:
        Door(lambda: clients).client(PEER, headers, [])
    assert "radiology" not in str(caught.value)
    assert all(header not in str(caught.value) for header in headers)


def test_a_wrong_token_is_not_made_good_by_a_certificate(tmp_path):
    clients = read_clients(written(tmp_path, WHOLE))
    door = Door(lambda: clients)
    assert door.client(PEER, [f"bearer  {TOKEN}"], []).name == "radiology"
    assert door.client(PEER, [], ["radiology.example.org"]).name == "radiology"
    with pytest.raises(UnauthenticatedError):
        door.client(PEER, ["Bearer wrong-token-wrong-token"], ["radiology.example.org"])
    with pytest.raises(UnauthenticatedError):
        door.client(PEER, [], ["somebody.else"])


def test_without_a_file_everybody_may_call_by_the_name_of_certificate_or_machine():
    door = Door(None)
    assert door.client(PEER, ["Bearer whatever"], []) == Client("10.0.0.7")
    assert door.client(PEER, [], ["a.example.org", "b"]) == Client("a.example.org", is_known=True)


def test_models_are_withheld_by_name_whether_or_not_they_exist():
    client = Client("a", models=("net-?", "big*"))
    for name in ("net-1", "big", "bigger"):
        client.check_model(name)
    for name in ("net-10", "Big", "", "x"):
        with pytest.raises(ForbiddenError, match="may not use"):
            client.check_model(name)
    assert not client.may_use_all
    assert Client("b").may_use_all


def test_a_rate_lets_a_burst_through_and_then_so_many_per_second():
    now = 100.0
    limits = ClientLimits(lambda: now)
    client, other = Client("a", rate=2.0, burst=3.0), Client("b", rate=2.0, burst=3.0)
    for _ in range(3):
        limits.take(client)
    with pytest.raises(OverLimitError, match="more than 2 requests per second") as caught:
        limits.take(client)
    assert caught.value.retry_after == pytest.approx(0.5)
    limits.take(other)  # whose limit is its own
    now += 0.5
    limits.take(client)
    with pytest.raises(OverLimitError):
        limits.take(client)
    now += 1000.0
    for _ in range(3):
        limits.take(client)
    with pytest.raises(OverLimitError):
        limits.take(client)
    for _ in range(1000):
        limits.take(Client("without a limit"))


def test_calls_at_once_are_counted_until_they_end():
    limits = ClientLimits()
    client = Client("a", calls_at_once=2)
    with limits.in_flight(client):
        with (
            limits.in_flight(client),
            pytest.raises(OverLimitError, match="2 calls in flight"),
            limits.in_flight(client),
        ):
            pass
        with limits.in_flight(client), limits.in_flight(Client("b", calls_at_once=1)):
            pass


def test_a_file_that_another_takes_the_place_of_is_read_whatever_its_size_and_time(tmp_path):
    file, other = tmp_path / "file", tmp_path / "other"
    file.write_text("before", "utf-8")
    other.write_text("behind", "utf-8")
    status = file.stat()
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    followed = Followed("the file", [file], lambda: file.read_text("utf-8"))
    followed.open()
    other.replace(file)
    followed.look()
    assert followed.get() == "behind"
