"""What a fresh process of Python has loaded."""

from __future__ import annotations

import subprocess
import sys

_REPORT = "\nimport sys as _sys; print('loaded:', *{_name.partition('.')[0] for _name in _sys.modules})"


def loaded_by(code: str) -> set[str]:
    """Top-level names of all modules that are loaded after a program has run."""
    return run_fresh(code)[0]


def run_fresh(code: str) -> tuple[set[str], str]:
    """Those names, and what the program has printed."""
    done = subprocess.run([sys.executable, "-c", code + _REPORT], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    printed, _, loaded = done.stdout.rpartition("loaded:")
    return set(loaded.split()), printed
