"""What the commands share on the terminal: the console for tables, and a progress bar."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from camgraph_exporter.certificate.certify import ProgressCallback


def table_console() -> Console:
    """Return the console for tables; a pipe has no width, and names of layers are long."""
    return Console() if sys.stdout.isatty() else Console(width=160)


def print_notes(notes: Iterable[str]) -> None:
    """Print notes for the user on stderr, one line each."""
    for note in notes:
        click.echo(f"Note: {note}", err=True)


@contextmanager
def progress_bar(title: str) -> Iterator[ProgressCallback]:
    """Show a progress bar on a terminal, and nothing when stderr is piped."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(title, total=None)

        def report(name: str, done: int, total: int) -> None:
            bar.update(task, description=f"{title}: {name}", completed=done, total=total)

        yield report
