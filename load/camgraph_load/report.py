"""The report of a load test: one HTML file with all that it needs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from camgraph_client.html.document import opening
from camgraph_load import plots
from camgraph_load.comparison import Ratio
from camgraph_load.ramp import KEEPS_UP, knee
from camgraph_load.recorded import Recorded
from camgraph_load.summary import Summary

_STYLE = """
body { max-width: 60rem; }
table { border-collapse: collapse; margin: .6rem 0; }
.figures td { text-align: right; font-variant-numeric: tabular-nums; }
.figures th + th { text-align: right; }
.figures th { font-weight: 600; }
.figures tbody th { font-weight: 400; min-width: 7rem; }
.figures td:last-child { min-width: 4rem; }
.warn { background: var(--notice); padding: .5rem 1rem; border-left: 4px solid var(--notice-edge); }
h2 { font-size: 1.15rem; margin: 1.8rem 0 .3rem; break-after: avoid; }
.wide { break-inside: avoid; }
.wide svg { width: 100%; min-width: 34rem; height: auto; display: block; }
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
    header = ["figure", first.title, second.title, "ratio", "95 % interval", "differs"]
    parts = [
        "<h1>Two load tests</h1>",
        *(_warning(run.title, run.summary) for run in (first, second)),
        _rows(header, rows),
        _section("Latency by percentile", plots.distribution([first, second])),
        _section("Where the time goes", plots.stages([first, second])),
    ]
    return _document("Two load tests", parts)


def _document(title: str, parts: Iterable[str]) -> str:
    return "\n".join([opening(title, _STYLE, with_style_attributes=True), *filter(None, parts), "</body></html>", ""])


def _facts(run: Recorded) -> str:
    """The settings that were given."""
    facts = "".join(
        f'<tr><th scope="row">{escape(name.replace("_", " "))}</th><td>{escape(_said(value))}</td></tr>'
        for name, value in run.settings.items()
        if value is not None and value != []
    )
    return f'<details><summary>Settings</summary><div class="wide"><table>{facts}</table></div></details>'


def _said(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    return ", ".join(map(_said, value)) if isinstance(value, list | tuple) else str(value)


def _warning(title: str, summary: Summary) -> str:
    text = []
    if summary.client_is_measured:
        text.append(
            f"The client was too busy or late ({summary.client_cpu:.2f} CPU s per second, {summary.client_lag:.1f} ms "
            "late): these figures are the client's. Use more processes, or another machine."
        )
    if summary.wrong:
        text.append(f"{summary.wrong} answers were not what was asked for.")
    return f'<p class="warn">{escape(title)}: {escape(" ".join(text))}</p>' if text else ""


def _table(runs: Sequence[Recorded]) -> str:
    latency = ["p50 ms", "p90 ms", "p99 ms", "p99.9 ms", "largest ms"]
    header = ["run", "offered/s", "good/s", *latency, "server's processors", "server MiB", "codes"]
    return _rows(header, [_row(run) for run in runs])


def _row(run: Recorded) -> list[str]:
    summary = run.summary
    latency = summary.latency_in_words("p50", "p90", "p99", "p99.9")
    codes = ", ".join(f"{name} {count}" for name, count in summary.codes.items())
    figures = [f"{summary.offered:.1f}", f"{summary.good:.1f}", *latency]
    usage = [_known(summary.server_cpu, ".2f"), _known(summary.server_memory, ".0f")]
    return [run.title, *figures, *usage, codes]


def _known(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def _rows(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of figures, each row with its name first; it is scrolled where a window is too narrow for it."""
    heads = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in header)
    lines = "".join(
        f'<tr><th scope="row">{escape(name)}</th>{"".join(f"<td>{escape(cell)}</td>" for cell in cells)}</tr>'
        for name, *cells in rows
    )
    table = f'<table class="figures"><thead><tr>{heads}</tr></thead><tbody>{lines}</tbody></table>'
    return f'<div class="wide" tabindex="0" role="group" aria-label="figures">{table}</div>'


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
    return f'<h2>{escape(title)}</h2>\n<div class="wide" tabindex="0">{svg}</div>'
