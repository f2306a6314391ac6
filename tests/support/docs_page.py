"""A page of docs/, and its commands, run as a reader runs them."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

from support.exporting import camgraph
from support.serving import PATIENCE

ROOT = Path(__file__).resolve().parents[2]


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def blocks(text: str, language: str = "sh") -> list[str]:
    """Blocks of code of a page, without their fences; a command that goes on in further lines is one line."""
    found = re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [re.sub(r" \\\n *", " ", block) for block in found]


def run(line: str) -> str:
    """Runs one command of a page in the current folder, and gives what camgraph printed."""
    program, *words = shlex.split(line)
    if program == "python":
        subprocess.run([sys.executable, *words], check=True, timeout=4 * PATIENCE)
        return ""
    assert program == "camgraph", line
    result = camgraph(*words)
    assert result.exit_code == 0, (line, result.output, result.stderr)
    return result.stdout


def link_examples() -> None:
    """Has the current folder contain the examples of the repository."""
    Path("examples").symlink_to(ROOT / "examples")
