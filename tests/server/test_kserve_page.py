"""Runs the programs and commands of docs/kserve.md as written, each with the client that it is for."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from support.load_tools import environment_of
from support.peers import Peer
from support.serving import PATIENCE, png, server_process, write_model

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/kserve.md").read_text(encoding="utf-8")
PROGRAMS = {
    "tritonclient": ("triton.InferenceServerClient", "as_numpy", "(2, 30, 40)\n"),
    "a stream of tritonclient": ("triton.InferenceServerClient", "start_stream", "image 0\nimage 1\nimage 2\n"),
    "KServe's client": ("InferenceGRPCClient", "asyncio", "cat (1, 30, 40)\n"),
}
"""Two words that a program of the page has alone, and what it prints first."""


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_model(tmp_path / "models", "efficientnet_lite0")
    (tmp_path / "cat.jpg").write_bytes(png())
    (tmp_path / "wire").symlink_to(ROOT / "wire")
    return tmp_path


def test_every_program_of_the_page_is_run_here():
    assert len(blocks("python")) == len(PROGRAMS)


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_of_the_page(name: str, folder: Path, peer: Callable[[str], Peer]):
    client, word, begin = PROGRAMS[name]
    [program] = [text for text in blocks("python") if client in text and word in text]
    python = peer("kserve").python if "kserve" in program else sys.executable
    with server_process(folder / "models") as server:
        here = program.replace("localhost:8500", server.address)
        command = [str(python), "-W", "ignore", "-c", here]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(begin), done.stdout
    if "overlay.jpg" in program:
        assert (folder / "overlay.jpg").read_bytes().startswith(b"\xff\xd8")


@pytest.mark.parametrize("has_reflection", [True, False])
def test_the_commands_of_grpcurl(has_reflection: bool, folder: Path, peer: Callable[[str], Peer]):
    """By reflection and by the protocol's file; the file alone where a server has no reflection."""
    environment = environment_of("grpcurl", peer, folder)
    described, explained = blocks("sh")[-1].strip().split("\n\n")
    options = () if has_reflection else ("--no-reflection",)
    with server_process(folder / "models", *options) as server:
        first, second = (
            subprocess.run(
                command.replace("127.0.0.1:8500", server.address),
                shell=True,
                cwd=folder,
                env=environment,
                capture_output=True,
                text=True,
                timeout=PATIENCE,
                check=False,
            )
            for command in (described, explained)
        )
    assert second.returncode == 0, second.stderr
    answer = json.loads(second.stdout)
    assert [output["name"] for output in answer["outputs"]] == ["statistics"]
    if has_reflection:
        assert json.loads(first.stdout)["platform"] == "camgraph_explanation", first.stderr
    else:
        assert "does not support the reflection API" in first.stderr
