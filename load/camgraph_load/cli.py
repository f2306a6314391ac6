"""The commands `camgraph load` and `camgraph compare-loads`."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from camgraph_cli.options import options_of
from camgraph_client.cli.connection import RequiredServerOptions
from camgraph_load.comparison import compare
from camgraph_load.fleet import Outcome, run
from camgraph_load.plan import LoadPlan
from camgraph_load.ramp import knee
from camgraph_load.recorded import Recorded, read, write
from camgraph_load.report import comparison_page, page
from camgraph_load.sending import Task

_ATTEMPTS = 4  # as the client does by default


@click.command()
@click.argument("images", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@options_of(where=RequiredServerOptions)
@options_of(plan=LoadPlan)
@click.option("--report", type=click.Path(path_type=Path), help="Write the report to this HTML file.")
@click.option("--json", "record", type=click.Path(path_type=Path), help="Write figures and records to this JSON file.")
def load(
    images: Sequence[Path],
    where: RequiredServerOptions,
    plan: LoadPlan,
    report: Path | None,
    record: Path | None,
) -> None:
    """Send photos to a server under load and check every answer.

    --timeout is the deadline of each call. Latency counts from when a call was due.
    """
    connection = where.connection(attempts=_ATTEMPTS if plan.retries else 1)
    mix = plan.mix(images)
    settings = {field.name: getattr(plan, field.name) for field in dataclasses.fields(plan)}
    settings["graph"] = plan.graph and str(plan.graph)
    settings |= {"server": where.server, "deadline": where.timeout, "images": [path.name for path in images]}
    names = [call.name for call in mix.calls]
    runs: list[Recorded] = []
    for number, (title, task) in enumerate(plan.steps(mix, connection)):
        before = plan.warm_up_task(task) if number == 0 else None
        if before is not None:
            _run("warm-up", before, plan)
        runs.append(Recorded(title, settings, names, plan.duration, _run(title, task, plan)))
    _print(runs, plan)
    if record is not None:
        write(record, runs)
    if report is not None:
        report.write_text(page(runs, plan.most_latency), "utf-8")


@click.command()
@click.argument("first", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("second", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--report", type=click.Path(path_type=Path), help="Write the report to this HTML file.")
def compare_loads(first: Path, second: Path, report: Path | None) -> None:
    """Compare the last runs of two JSON files of camgraph load."""
    names = _apart(first, second)
    one, other = (
        dataclasses.replace(read(path)[-1], title=name) for path, name in zip((first, second), names, strict=True)
    )
    ratios = compare(one.outcome.records, other.outcome.records)
    if report is not None:
        report.write_text(comparison_page(one, other, ratios), "utf-8")
    table = _table("", *names, "ratio", "95 % interval")
    for item in ratios:
        interval = f"{item.low:.3f} to {item.high:.3f}"
        table.add_row(item.name, f"{item.first:.2f}", f"{item.second:.2f}", f"{item.ratio:.3f}", interval)
    Console().print(table)


def _apart(first: Path, second: Path) -> tuple[str, str]:
    """What two files are called so that they are told apart: their names, with folders where those are the same."""
    one, other = (os.fsencode(path).decode(errors="replace") for path in (first, second))
    return (Path(one).name, Path(other).name) if first.name != second.name else (one, other)


def _run(title: str, task: Task, plan: LoadPlan) -> Outcome:
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[answers]} answers"))
    with Progress(
        *columns, TimeRemainingColumn(), console=Console(stderr=True), disable=not sys.stderr.isatty()
    ) as bar:
        shown = bar.add_task(title, total=task.duration, answers=0)

        def show(seconds: float, answers: int) -> None:
            bar.update(shown, completed=seconds, answers=answers)

        return run(task, plan.processes, show, plan.metrics_url)


def _print(runs: Iterable[Recorded], plan: LoadPlan) -> None:
    console, steps = Console(), list(runs)
    table = _table("", "offered/s", "good/s", "p50 ms", "p99 ms", "largest ms", "codes")
    for step in steps:
        summary = step.summary
        figures = [f"{summary.offered:.1f}", f"{summary.good:.1f}", *summary.latency_in_words("p50", "p99")]
        codes = ", ".join(f"{name} {count}" for name, count in summary.codes.items())
        table.add_row(step.title, *figures, codes)
    console.print(table)
    for step in steps:
        if step.summary.server_cpu is not None:
            console.print(
                f"{step.title}: the server used {step.summary.server_cpu:.2f} processors and at most "
                f"{step.summary.server_memory:.0f} MiB."
            )
        if step.summary.wrong:
            console.print(f"{step.title}: {step.summary.wrong} answers were not what was asked for.")
        if step.summary.client_is_measured:
            console.print(
                f"{step.title}: the client was too busy, so these figures are the client's. "
                "Use more --processes, or another machine."
            )
    if len(steps) > 1:
        found = knee(steps, plan.most_latency)
        console.print("No step kept up." if found is None else f"The knee is at {found.summary.offered:.1f} calls/s.")


def _table(*headings: str) -> Table:
    table = Table()
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table
