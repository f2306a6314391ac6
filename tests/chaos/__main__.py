"""The command line of the programs: `make chaos`, `make chaos CHAOS="sigterm --rounds 100"`."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import click

from chaos.long_run import Outcome, run
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


@main.command()
@click.option("--requests", "count", default=100_000, show_default=True, help="Number of requests.")
@click.option("--seed", default=1, show_default=True, help="Of the requests.")
def mutated(count: int, seed: int) -> None:
    """Sends requests drawn at random, half of them spoiled."""
    _run(seed, lambda outcome, _: sum(outcome.codes.values()) < count, 1.0)


@main.command()
@click.option("--minutes", default=20.0, show_default=True, help="How long; 1440 for a day.")
@click.option("--seed", default=1, show_default=True, help="Of the requests.")
def soak(minutes: float, seed: int) -> None:
    """Sends requests drawn at random for a time, and looks whether anything grows."""
    _run(seed, lambda _, seconds: seconds < 60 * minutes, max(1.0, minutes / 5))


def _run(seed: int, goes_on: Callable[[Outcome, float], bool], every: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        write_model(Path(folder))
        outcome = asyncio.run(run(Path(folder), seed, goes_on, every))
    first, last = outcome.samples[0], outcome.samples[-1]
    print(f"seed {seed}, {last.seconds:.0f} s:", dict(outcome.codes), f"of which {outcome.reached} reached a worker")
    print(f"at first {first}", f"at last {last}", sep="\n")
    print(f"memory {outcome.growth:.2f} times; in an hour:", outcome.slopes())
    print(*outcome.problems() or ["All is well."], sep="\n")
    _end(not outcome.problems())


def _end(is_well: bool) -> None:
    sys.exit(0 if is_well else 1)


if __name__ == "__main__":
    main()
