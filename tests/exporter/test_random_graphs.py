"""Whatever a file holds, an export ends in a proven graph or in a sentence: small graphs, drawn at random and broken.

`CAMGRAPH_RANDOM_GRAPHS` says how many of each kind are tried; a run of thousands takes minutes.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

_TESTS = Path(__file__).parents[1]
_COUNT = int(os.environ.get("CAMGRAPH_RANDOM_GRAPHS", "150"))


@pytest.mark.timeout(60 + 5 * _COUNT)
@pytest.mark.parametrize(("kind", "first", "exported"), [("random", 0, 0.05), ("broken", 1_000_000, 0.02)])
def test_every_graph_gets_an_answer(kind: str, first: int, exported: float, tmp_path: Path) -> None:
    lines = _run(kind, first, tmp_path)
    ends = [line for line in lines if len(line) > 1]
    assert len(ends) == _COUNT, f"The process ended at case {lines[-1]['seed']}."
    faults = {line["seed"]: line["fault"] for line in ends if "fault" in line}
    assert not faults, "\n".join(f"{kind} {seed}: {fault}" for seed, fault in faults.items())
    for line in ends:
        if "refused" in line:
            _is_plain(line["refused"])
    passed = [line["exported"] for line in ends if "exported" in line]
    assert set(passed) <= {"True"}
    assert len(passed) >= exported * _COUNT, "Too few graphs are sound for the cases to say much."


def _run(kind: str, first: int, folder: Path) -> list[dict[str, str]]:
    command = [sys.executable, "-m", "support.export_random", str(folder), kind, str(first), str(_COUNT)]
    run = subprocess.run(command, cwd=_TESTS, capture_output=True, text=True, check=False)
    return [json.loads(line) for line in run.stdout.splitlines()]


def _is_plain(said: str) -> None:
    assert re.search(r"[.!?]$", said), said
    assert "\n" not in said, said
    assert "Traceback" not in said, said
    assert "fault of camgraph" not in said, said
