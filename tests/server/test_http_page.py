"""Runs the programs and the command of docs/http.md as written, each with the client that it is for."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from camgraph_server.transport.http.endpoint import Endpoint
from support.peers import Peer
from support.rest import http_server
from support.serving import PATIENCE, png, server_process, write_model

PAGE = (Path(__file__).resolve().parents[2] / "docs/http.md").read_text(encoding="utf-8")
PROGRAMS = {"tritonclient": "(1, 30, 40)\n", "kserve": "cat\n"}


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def ran(command: list[str], text: str, folder: Path) -> str:
    write_model(folder / "models", "efficientnet_lite0")
    (folder / "cat.jpg").write_bytes(png())
    with server_process(folder / "models", "--http", "127.0.0.1:0") as server:
        command = [*command, text.replace("localhost:8080", server.http_address)]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=3 * PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("library", PROGRAMS)
def test_a_program_of_the_page(library: str, tmp_path: Path, peer: Callable[[str], Peer]):
    assert len(blocks("python")) == len(PROGRAMS)
    [program] = [text for text in blocks("python") if library in text]
    python = str(peer("kserve").python) if library == "kserve" else sys.executable
    assert ran([python, "-W", "ignore", "-c"], program, tmp_path) == PROGRAMS[library]


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_command_of_the_page(tmp_path: Path):
    [command] = [text for text in blocks("sh") if "curl" in text]
    answer = json.loads(ran(["sh", "-c"], command, tmp_path))
    assert len(answer["explanations"][0]["heatmap-png"]) == 2


async def test_the_page_lists_every_address(repository):
    async with http_server(repository, model_control=True) as server:
        routes = server._http.app.routes
    found = {(method, route.path) for route in routes for method in route.methods - {"HEAD"}}
    found = {(method, path.replace("/versions/{version}", "").replace("{name}", "NAME")) for method, path in found}
    assert found == set(re.findall(r"^\| `(GET|POST) (\S+)` +\|", PAGE, re.MULTILINE))


async def test_only_the_addresses_that_the_page_names_are_open(repository):
    async with http_server(repository, model_control=True) as server:
        routes = server._http.app.routes
    assert all(isinstance(route.endpoint, Endpoint) for route in routes)
    assert {route.path for route in routes if route.endpoint.rule.is_open} == {
        "/",
        "/v2/health/live",
        "/v2/health/ready",
    }
