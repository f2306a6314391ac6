"""How far the windows of a scene are, on stderr, if somebody looks on."""

from __future__ import annotations

import sys

import click

from camgraph_runtime.scene.run import Progress


def window_progress() -> Progress | None:
    """What shows the windows that are done; None where stderr is not a terminal."""
    return _show if sys.stderr.isatty() else None


def _show(done: int, count: int) -> None:
    click.echo(f"\rwindow {done} of {count}" + ("\n" if done == count else ""), err=True, nl=False)
