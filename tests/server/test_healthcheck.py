"""The health check of the image asks wherever the server listens, with the variables that the server itself has."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.certificates import Authority
from support.serving import PATIENCE, running_server

PROGRAM = Path(__file__).resolve().parents[2] / "deploy" / "healthcheck.py"


async def checked(**variables: str) -> subprocess.CompletedProcess[str]:
    """What it says with these variables, where a proxy is set that nothing may ask."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("CAMGRAPH_")}
    proxies = dict.fromkeys(("http_proxy", "https_proxy", "grpc_proxy"), "http://127.0.0.1:1")
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, PROGRAM],
        env={**clean, **proxies, **variables},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


@pytest.mark.parametrize(
    ("bound", "said"),
    [
        ("127.0.0.1:0", "127.0.0.1:{port}"),
        ("127.0.0.1:0", "0.0.0.0:{port}"),
        ("127.0.0.1:0", "127.0.0.1:0"),
        ("localhost:0", "localhost:{port}"),
        ("[::1]:0", "[::1]:{port}"),
        ("[::1]:0", "[::]:{port}"),
        ("unix:{folder}/camgraph.sock", "unix:{folder}/camgraph.sock"),
    ],
)
async def test_it_asks_where_the_server_listens(bound: str, said: str, repository: Path, tmp_path: Path) -> None:
    port = tmp_path / "port"
    async with running_server(repository, listen=bound.format(folder=tmp_path), port_file=port) as server:
        listen = said.format(port=server.address.rpartition(":")[2], folder=tmp_path)
        done = await checked(CAMGRAPH_SERVE_LISTEN=listen, CAMGRAPH_SERVE_PORT_FILE=str(port))
    assert (done.returncode, done.stdout, done.stderr) == (0, "SERVING\n", "")


@pytest.mark.parametrize("name", ["localhost", "gpu7.example.org", "*.example.org", "10.0.0.5"])
async def test_it_trusts_the_certificate_of_the_server_and_no_other(
    name: str, repository: Path, tmp_path: Path
) -> None:
    cert, key = Authority(tmp_path).issue(name)
    other, _ = Authority(tmp_path, "other").issue(name)
    async with running_server(repository, tls_cert=cert, tls_key=key) as server:
        known, unknown, plain = [
            await checked(CAMGRAPH_SERVE_LISTEN=server.address, **variables)
            for variables in ({"CAMGRAPH_SERVE_TLS_CERT": str(cert)}, {"CAMGRAPH_SERVE_TLS_CERT": str(other)}, {})
        ]
    assert (known.returncode, known.stdout) == (0, "SERVING\n"), known.stderr
    for refused in (unknown, plain):
        assert refused.returncode == 1
        assert refused.stderr.splitlines()[-1] == f"no answer at {server.address}: UNAVAILABLE"  # after gRPC's own


async def test_it_shows_a_certificate_where_clients_must_and_needs_no_token(repository: Path, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    cert, key = authority.issue("localhost")
    strange = Authority(tmp_path, "strange").issue("localhost")
    clients = tmp_path / "clients.toml"
    clients.write_text("[clients.clinic]\ntokens = ['0123456789abcdef0123']", encoding="utf-8")
    files = {"tls_cert": cert, "tls_key": key, "tls_client_ca": authority.file}
    async with running_server(repository, clients=clients, **files) as server:
        variables = {f"CAMGRAPH_SERVE_{name.upper()}": str(path) for name, path in files.items()}
        variables["CAMGRAPH_SERVE_LISTEN"] = server.address
        own = await checked(**variables)
        shown = dict(zip(("CAMGRAPH_HEALTH_TLS_CERT", "CAMGRAPH_HEALTH_TLS_KEY"), map(str, strange), strict=True))
        other = await checked(**variables, **shown)
    assert (own.returncode, own.stdout) == (0, "SERVING\n"), own.stderr
    assert (other.returncode, other.stdout) == (1, "")


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"CAMGRAPH_SERVE_LISTEN": "127.0.0.1:1"}, "no answer at 127.0.0.1:1: UNAVAILABLE"),
        ({"CAMGRAPH_SERVE_LISTEN": "unix:/nowhere"}, "no answer at unix:/nowhere: UNAVAILABLE"),
        ({"CAMGRAPH_SERVE_LISTEN": "127.0.0.1:0"}, "cannot ask at 127.0.0.1:0"),
        ({"CAMGRAPH_SERVE_TLS_CERT": "/nowhere.pem"}, "No such file or directory: '/nowhere.pem'"),
    ],
)
async def test_without_a_server_it_fails_and_says_where_it_asked(variables: dict[str, str], words: str) -> None:
    done = await checked(**variables)
    assert done.returncode == 1
    assert words in done.stderr
    assert "Traceback" not in done.stderr
