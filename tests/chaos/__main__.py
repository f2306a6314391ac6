"""The command line of the programs: `make chaos`, `make chaos CHAOS="sigterm --rounds 100"`."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

import click

from chaos.sigterm import series
from chaos.suite import attack_all
from support.serving import write_model


@click.group(invoke_without_command=True)
@click.pass_context
def main(context: click.Context) -> None:
    """Programs that try to knock a server down. Each prints what it saw, and exits with 1 if something fell."""
    if context.invoked_subcommand is None:
        context.invoke(attacks)


@main.command()
@click.option("--size", default=1.0, show_default=True, help="Size of each attack.")
def attacks(size: float) -> None:
    """Attacks a server in every way: it lives, answers health checks within 0.5 s, and stays below 1.5 GiB."""
    with tempfile.TemporaryDirectory() as folder:
        reports = asyncio.run(attack_all(Path(folder), size, print))
    problems = [f"{report.attack}: {problem}" for report in reports for problem in report.problems(slowest=0.5)]
    print(*problems or ["All is well."], sep="\n")
    _end(not problems)


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
