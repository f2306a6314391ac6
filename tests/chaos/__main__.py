"""The command line of the programs: `make chaos CHAOS="sigterm --rounds 100"`."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

import click

from chaos.sigterm import series
from support.serving import write_model


@click.group()
def main() -> None:
    """Programs that try to knock a server down. Each prints what it saw, and exits with 1 if something fell."""


@main.command()
@click.option("--rounds", default=100, show_default=True, help="Number of stops.")
@click.option("--callers", default=16, show_default=True, help="Callers that never rest.")
@click.option("--processes", default=1, show_default=True, help="Worker processes of the server.")
def sigterm(rounds: int, callers: int, processes: int) -> None:
    """Stops a server under load."""
    with tempfile.TemporaryDirectory() as folder:
        write_model(Path(folder))
        _end(asyncio.run(series(Path(folder), rounds, callers, "--processes", str(processes))))


def _end(is_well: bool) -> None:
    sys.exit(0 if is_well else 1)


if __name__ == "__main__":
    main()
