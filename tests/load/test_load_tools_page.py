"""Runs each command of docs/load-tools.md with the tool that it is for, on a server that logs its answers."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from support.load_tools import environment_of
from support.peers import Peer
from support.serving import png, server_process, write_model

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/load-tools.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"^The file `([\w.]+)`[^`]*?:\n\n```\w+\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL))
COMMANDS = [
    command.replace(" \\\n", " ").strip()
    for block in re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    for command in re.split(r"(?<!\\)\n(?=\S)", block.strip())
]
MAKE, *SENDS = COMMANDS

ANSWERED = {"perf_analyzer": 100, "k6": 100, "h2load": 100}
"""Calls of each tool that its command sends, at least: perf_analyzer goes on until its last window has ended."""


def test_the_page_has_the_files_that_its_commands_name():
    assert set(FILES) == {"make_requests.py", "explain.js", "explain_http.js"}
    assert MAKE == "python make_requests.py"
    assert [command.split()[0] for command in SENDS] == ["perf_analyzer"] * 4 + ["k6"] * 2 + ["h2load"] * 2


def put(text: str, places: dict[str, str]) -> str:
    """The text with the addresses and the shape that they are here."""
    for shown, here in places.items():
        text = text.replace(shown, here)
    return text


@pytest.mark.parametrize("command", SENDS)
def test_a_command_of_the_page_runs_as_written(command: str, peer: Callable[[str], Peer], tmp_path: Path):
    program = command.split(maxsplit=1)[0]
    environment = environment_of(program, peer, tmp_path)
    write_model(tmp_path / "models", "efficientnet_lite0")
    (tmp_path / "cat.jpg").write_bytes(png())
    (tmp_path / "proto").symlink_to(ROOT / "proto")
    with server_process(tmp_path / "models", "--log-format", "json", "--http", "127.0.0.1:0") as server:
        places = {
            "127.0.0.1:8500": server.address,
            "127.0.0.1:8080": server.http_address,
            "input:1,3,224,224": "image:1,3,16,16",
        }
        for name, text in FILES.items():
            (tmp_path / name).write_text(put(text, places), encoding="utf-8")
        subprocess.run([sys.executable, "make_requests.py"], cwd=tmp_path, timeout=60, check=True)
        here = put(command, places)
        done = subprocess.run(
            here, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=240, check=False
        )
        server.signal(signal.SIGTERM)
        _, log = server.wait()
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    runs = Counter(line["status"] for line in lines if line.get("model") and line.get("inference_ms") is not None)
    assert set(runs) == {"OK"}, done.stdout
    assert runs["OK"] >= ANSWERED[program], done.stdout
    if program == "perf_analyzer":  # it has the server's own times, from its statistics
        assert re.search(r"Successful request count: [1-9]\d+\n.*compute infer [1-9]", done.stdout), done.stdout
