"""The same requests answered by two versions of camgraph in turn, each in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from paired import ROOT, Pairs

from camgraph_core.errors import UsageError

# What every version has: the public interface alone.
_WORKER = """
import json, sys, time
import camgraph_runtime
print(camgraph_runtime.__file__, flush=True)
explainer = camgraph_runtime.Explainer(sys.argv[1], threads=camgraph_runtime.Threads(1))
for line in sys.stdin:
    path, options = json.loads(line)
    with open(path, "rb") as file:
        data = file.read()
    start = time.process_time()
    try:
        explainer.explain(data, **options).explanations[0].overlay_jpeg
    except TypeError as error:  # an option that this version has not
        print(json.dumps(str(error)), flush=True)
        continue
    print(time.process_time() - start, flush=True)
"""


class Version:
    """A process of one version, which answers requests one by one.

    Args:
        python: The interpreter.
        graph: The explainable graph.
        folders: Where its packages are, before those that are installed.

    """

    def __init__(self, python: Path, graph: Path, folders: list[Path]) -> None:
        variables = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, folders))}
        command = [str(python), "-c", _WORKER, str(graph)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=variables
        )
        found = Path(self._line())
        if folders and not any(found.is_relative_to(folder) for folder in folders):
            raise UsageError(f"The packages of {folders[0].parent} were not found, but those of {found.parent}.")

    def milliseconds(self, photo: Path, options: Mapping[str, Any]) -> float:
        """CPU time of one request, from the file's bytes to the overlay as JPEG.

        Raises:
            UsageError: This version has not one of the options.

        """
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps([str(photo), dict(options)]) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self._line())
        if isinstance(answer, str):
            raise UsageError(answer)
        return 1e3 * float(answer)

    def close(self) -> None:
        """Ends the process."""
        self.process.communicate()

    def _line(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise UsageError("A version of camgraph ended; its words are above.")
        return line.strip()


@contextmanager
def versions(before: str, graph: Path) -> Iterator[tuple[Version, Version]]:
    """The version before and this one.

    Args:
        before: A folder with a virtual environment or a checkout, or a git revision of this repository.
        graph: The graph that both explain with.

    """
    with ExitStack() as stack:
        folder = Path(before)
        if not folder.is_dir():
            folder = stack.enter_context(_worktree(before))
        interpreter = folder / "bin" / "python"
        is_installed = interpreter.exists()
        other = Version(
            interpreter if is_installed else Path(sys.executable), graph, [] if is_installed else _packages(folder)
        )
        stack.callback(other.close)
        this = Version(Path(sys.executable), graph, _packages(ROOT))
        stack.callback(this.close)
        yield other, this


def request_pairs(other: Version, this: Version, photo: Path, options: Mapping[str, Any], count: int) -> Pairs:
    """Times pairs of a request after one to warm up; every second pair asks this version first."""
    pairs = Pairs([], [])
    for number in range(-1, count):
        order = (other, this) if number % 2 else (this, other)
        times = {version: version.milliseconds(photo, options) for version in order}
        if number >= 0:
            pairs.a_ms.append(times[other])
            pairs.b_ms.append(times[this])
    return pairs


@contextmanager
def _worktree(revision: str) -> Iterator[Path]:
    git = ["git", "-C", str(ROOT), "worktree"]
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / "before"
        outcome = subprocess.run(
            [*git, "add", "--detach", str(folder), revision], capture_output=True, text=True, check=False
        )
        if outcome.returncode:
            raise UsageError(f"{revision} is neither a folder nor a revision of this repository.")
        try:
            yield folder
        finally:
            subprocess.run([*git, "remove", "--force", str(folder)], check=True)


def _packages(folder: Path) -> list[Path]:
    """The folders of a checkout that packages are imported from."""
    return sorted({package.parent for package in folder.glob("*/camgraph*") if package.is_dir()})
