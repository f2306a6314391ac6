"""The report of a load test: one HTML file with all that it needs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from camgraph_load import plots
from camgraph_load.comparison import Ratio
from camgraph_load.ramp import KEEPS_UP, knee
from camgraph_load.recorded import Recorded
from camgraph_load.summary import Summary

_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
table { border-collapse: collapse; margin: 1rem 0 } th, td { padding: .25rem .75rem; border-bottom: 1px solid #ddd }
td + td, th + th { text-align: right }
.warn { background: #fff3cd; padding: .5rem 1rem; border-left: 4px solid #e0a800 }
svg { max-width: 100%; height: auto } h2 { margin-top: 2.5rem }
"""


def page(runs: Sequence[Recorded], most_latency: float | None = None) -> str:
    """The report of a run, or of the steps of a ramp.

    Args:
        runs: One run, or runs of rising rate.
        most_latency: As for `camgraph_load.ramp.knee`.

    """
    last = runs[-1]
    parts = [
        "<h1>Load test</h1>",
        _facts(last),
        *(_warning(run.title, run.summary) for run in runs),
        _table(runs),
    ]
    if len(runs) > 1:
        parts += [_knee(runs, most_latency), _section("Throughput and latency by load", plots.against_load(runs))]
    parts += [
        _section("Latency over time", plots.over_time(last)),
        _section("What became of the calls", plots.outcomes(last)),
        _section("Latency by percentile", plots.distribution(runs)),
        _section("Where the time goes", plots.stages(runs)),
        *([_section("What the server takes", plots.server_usage(last))] if len(last.outcome.usage) > 1 else []),
        "<p>Latency counts from when a call was due, so that a server which stalls cannot hide it.</p>",
    ]
    return _document("Load test", parts)


def comparison_page(first: Recorded, second: Recorded, ratios: Iterable[Ratio]) -> str:
    """The report of two runs."""
    rows = [
        [
            *(item.name, f"{item.first:.2f}", f"{item.second:.2f}", f"{item.ratio:.3f}"),
            *(f"{item.low:.3f} to {item.high:.3f}", "yes" if item.differs else "no"),
        ]
        for item in ratios
    ]
    header = ["", first.title, second.title, "ratio", "95 % interval", "differs"]
    parts = [
        "<h1>Two load tests</h1>",
        *(_warning(run.title, run.summary) for run in (first, second)),
        _rows(header, rows),
        _section("Latency by percentile", plots.distribution([first, second])),
        _section("Where the time goes", plots.stages([first, second])),
    ]
    return _document("Two load tests", parts)


def _document(title: str, parts: Iterable[str]) -> str:
    head = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>'
    return "\n".join([head, *filter(None, parts), "</html>", ""])


def _facts(run: Recorded) -> str:
    facts = "".join(
        f"<tr><td>{escape(str(name))}</td><td>{escape(str(value))}</td></tr>" for name, value in run.settings.items()
    )
    return f"<details><summary>Settings</summary><table>{facts}</table></details>"


def _warning(title: str, summary: Summary) -> str:
    text = []
    if summary.client_is_measured:
        text.append(
            f"The client was too busy ({summary.client_cpu:.2f} CPU s per second, {summary.client_lag:.1f} ms late): "
            "these figures are the client's. Use more processes, or another machine."
        )
    if summary.wrong:
        text.append(f"{summary.wrong} answers were not what was asked for.")
    return f'<p class="warn">{escape(title)}: {escape(" ".join(text))}</p>' if text else ""


def _table(runs: Sequence[Recorded]) -> str:
    latency = ["p50 ms", "p90 ms", "p99 ms", "p99.9 ms", "largest"]
    header = ["", "offered/s", "good/s", *latency, "server CPU", "server MiB", "codes"]
    return _rows(header, [_row(run) for run in runs])


def _row(run: Recorded) -> list[str]:
    summary = run.summary
    latency = [f"{summary.latency.percentiles[name]:.1f}" for name in ("p50", "p90", "p99", "p99.9")]
    codes = ", ".join(f"{name} {count}" for name, count in summary.codes.items())
    figures = [f"{summary.offered:.1f}", f"{summary.good:.1f}", *latency, f"{summary.latency.largest:.1f}"]
    usage = [_known(summary.server_cpu, ".2f"), _known(summary.server_memory, ".0f")]
    return [run.title, *figures, *usage, codes]


def _known(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def _rows(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["".join(f"<th>{escape(cell)}</th>" for cell in header)]
    lines += ["".join(f"<td>{escape(cell)}</td>" for cell in row) for row in rows]
    return f"<table>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"


def _knee(runs: Sequence[Recorded], most_latency: float | None) -> str:
    found = knee(runs, most_latency)
    bound = "" if most_latency is None else f" and its p99 at most {most_latency:g} ms"
    rule = f"A server keeps up where at least {KEEPS_UP:.0%} of the calls are answered well{bound}."
    if found is None:
        return f"<p>{rule} It did not keep up with the lowest rate.</p>"
    if found is runs[-1]:
        return f"<p>{rule} It kept up with every rate, up to {found.summary.offered:.1f} calls/s.</p>"
    return f"<p>{rule} The knee is at {found.summary.offered:.1f} calls/s.</p>"


def _section(title: str, svg: str) -> str:
    return f"<h2>{escape(title)}</h2>\n{svg}"
