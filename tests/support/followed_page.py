"""Follows a page of docs/ to the letter: puts its blocks of code to their places in a copy of the repository."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PACKAGES = ("proto", "core", "wire", "runtime", "exporter", "server", "client", "cli")
SHOWN_ONLY = "<!-- shown only -->"
_PLACE = r"In\s+(the\s+new\s+file\s+)?`([\w/.]+)`(?:,\s+after\s+`([^`]+)`)?"
_BLOCK = re.compile(rf"{_PLACE}:\n\n```(?:python|proto)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_SHELL = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
_NOT_COPIED = shutil.ignore_patterns("__pycache__", "images")


@dataclass(frozen=True)
class Block:
    """Code for a file: a new one, or after a line of one that exists, or at its end."""

    path: str
    code: str
    after: str = ""
    is_new: bool = False

    def put(self, folder: Path) -> None:
        target = folder / self.path
        assert target.exists() != self.is_new, f"{self.path} is{' not' * self.is_new} to be there already"
        text = "" if self.is_new else target.read_text(encoding="utf-8")
        if self.after:
            assert text.count(f"{self.after}\n") == 1, f"{self.path} has not one line {self.after!r}"
            text = text.replace(f"{self.after}\n", f"{self.after}\n{self.code}")
        else:
            text += f"\n\n{self.code}" if text else self.code
        target.write_text(text, encoding="utf-8")


class FollowedPage:
    """A page that says where each block goes: in `path`, in `path` after a line of it, or in the new file `path`."""

    def __init__(self, name: str) -> None:
        self.text = (ROOT / "docs" / name).read_text(encoding="utf-8")
        self.blocks = [Block(path, code, after, bool(new)) for new, path, after, code in _BLOCK.findall(self.text)]
        self.commands = [shlex.split(line) for block in _SHELL.findall(self.text) for line in block.splitlines()]
        shown = len(re.findall(r"^```(?:python|proto)$", self.text, re.MULTILINE))
        assert shown == len(self.blocks) + self.text.count(SHOWN_ONLY), "a block of the page has no place"

    def put(self, folder: Path) -> None:
        """Puts all blocks to their places in a copy of the repository."""
        for block in self.blocks:
            block.put(folder)


def copy_repository(folder: Path, names: Sequence[str]) -> None:
    """Copies folders and files of the repository as they are."""
    for name in names:
        source, target = ROOT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=_NOT_COPIED)
        else:
            shutil.copy(source, target)


def run(folder: Path, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Runs a command of the page in the copy, whose packages come before the installed ones."""
    program, *arguments = command
    program = sys.executable if program == ".venv/bin/python" else str(Path(sys.executable).parent / program)
    copied = [str(folder / name) for name in PACKAGES if (folder / name).is_dir()]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(copied), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [program, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=240
    )
