"""The plots of a report, each as SVG: on the page's ground, with its ink, and in colours that everyone tells apart."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from camgraph_load.recorded import Recorded
from camgraph_load.records import OK, STAGES, Records
from camgraph_load.summary import CODES
from camgraph_load.usage import processors

# The colours of Okabe and Ito (https://jfly.uni-koeln.de/color/), the lighter ones darker, so that each stands out from
# a light and from a dark page; the yellow is left out.
COLOURS = _BLUE, _RED, _, _, _, _, _GREY = (
    "#0072b2", "#d55e00", "#009e73", "#c0689a", "#b97f00", "#2f93c9", "#828a94",
)  # fmt: skip  # a table of colours
_INK = "#010203"  # stands for the colour of the page's text
_STYLE: dict[Any, Any] = {
    "svg.hashsalt": "camgraph",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 10,
    "text.parse_math": False,  # names may have dollars
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.prop_cycle": cycler(color=COLOURS),
    "grid.alpha": 0.25,
    "lines.linewidth": 1.8,
    "patch.linewidth": 0.4,
    "patch.force_edgecolor": True,
    **dict.fromkeys(
        (
            "text.color",
            "axes.labelcolor",
            "axes.edgecolor",
            "xtick.color",
            "ytick.color",
            "grid.color",
            "patch.edgecolor",
        ),
        _INK,
    ),
    **dict.fromkeys(("figure.facecolor", "axes.facecolor"), "none"),
}
_DASHES = ("-", "--", "-.", ":")
_SHOWN = (50, 90, 99)
_MOST_POINTS = 2000
_LONGEST = 30  # characters of a name
_MIB = 1024 * 1024


def over_time(run: Recorded) -> str:
    """Latency percentiles, by the second in which a call was due."""
    records = run.outcome.records
    fine = records[records["code"] == OK]
    with _axes("Latency over time") as (axes, svg):
        second = fine["due"].astype(np.int64)
        latency = (fine["done"] - fine["due"]) * 1e3
        shown = [number for number in range(int(second.max(initial=-1)) + 1) if (second == number).any()]
        for percent in _SHOWN:
            values = [np.percentile(latency[second == number], percent) for number in shown]
            axes.plot(shown, values, marker=".", label=f"p{percent}")
        if not shown:
            axes.set_xlim(0, run.duration)
        _name(axes, "second of the run", "latency, ms")
        axes.set_ylim(bottom=0)
    return svg[0]


def outcomes(run: Recorded) -> str:
    """Calls per second, by what became of them."""
    records = run.outcome.records
    second = records["due"].astype(np.int64)
    count = int(second.max(initial=0)) + 1
    with _axes("Calls per second, by what became of them") as (axes, svg):
        below = np.zeros(count)
        for name, chosen in _kinds(records):
            per_second = np.bincount(second[chosen], minlength=count)
            axes.bar(range(count), per_second, bottom=below, label=name, width=1.0, align="edge")
            below += per_second
        _name(axes, "second of the run", "calls per second")
    return svg[0]


def distribution(runs: Sequence[Recorded]) -> str:
    """Latency by percentile, with the tail spread out."""
    with _axes("Latency by percentile") as (axes, svg):
        for number, run in enumerate(runs):
            records = run.outcome.records
            fine = records[records["code"] == OK]
            if not len(fine):
                continue
            latency = np.sort(fine["done"] - fine["due"]) * 1e3
            beyond = 1 - (np.arange(len(latency)) + 0.5) / len(latency)
            points = np.unique(np.geomspace(1, len(latency), _MOST_POINTS).astype(np.int64))
            axes.plot(1 / beyond[-points], latency[-points], _DASHES[number % len(_DASHES)], label=_name_of(run))
        axes.set_xscale("log")
        ticks = (1, 2, 10, 100, 1000, 10_000)
        axes.set_xticks(ticks, ["0", "50", "90", "99", "99.9", "99.99"])
        axes.set_xlim(1, 2 * max(len(run.outcome.records) for run in runs))
        _name(axes, "percentile", "latency, ms")
        axes.set_ylim(bottom=0)
    return svg[0]


def stages(runs: Sequence[Recorded]) -> str:
    """Where the time goes: mean milliseconds of each stage, and what lies outside the server's own clock."""
    with _axes("Where the time goes") as (axes, svg):
        places, left = np.arange(len(runs))[::-1], np.zeros(len(runs))  # the first one is at the top
        for stage in STAGES:
            values = np.array([run.summary.stages[stage] for run in runs])
            axes.barh(places, values, left=left, label=stage)
            left += values
        whole = np.array([run.summary.service.mean for run in runs])
        axes.barh(places, np.maximum(0.0, whole - left), left=left, label="transport")
        axes.set_yticks(places, [_name_of(run) for run in runs])
        axes.grid(visible=False, axis="y")
        _name(axes, "mean time of a call, ms", "")
    return svg[0]


def server_usage(run: Recorded) -> str:
    """Processors and memory of the server over time."""
    usage = run.outcome.usage
    with _axes("Processors and memory of the server") as (axes, svg):
        axes.step(usage["at"][1:], processors(usage), where="pre", label="processors in use")
        axes.set_ylim(bottom=0)
        memory = _other(axes, "memory, MiB")
        memory.plot(usage["at"], usage["memory"] / _MIB, "--", color=_RED, label="memory")
        memory.set_ylim(0, 1.1 * usage["memory"].max() / _MIB)
        _name(axes, "second of the run", "processors")
    return svg[0]


def against_load(steps: Sequence[Recorded]) -> str:
    """Good answers per second and latency against the offered rate."""
    summaries = [step.summary for step in steps]
    offered = [summary.offered for summary in summaries]
    with _axes("Throughput and latency by load") as (axes, svg):
        axes.plot(offered, offered, color=_GREY, linewidth=1, label="offered")
        axes.plot(offered, [summary.good for summary in summaries], marker="o", label="good answers/s")
        latency = _other(axes, "latency, ms")
        for name, line in (("p50", ":"), ("p99", "--")):
            values = [item.latency.percentiles[name] if item.has_answers else np.nan for item in summaries]
            latency.plot(offered, values, line, marker=".", color=_RED, label=f"latency {name}")
        axes.set_ylim(bottom=0)
        latency.set_ylim(bottom=0)
        _name(axes, "offered calls per second", "calls per second")
    return svg[0]


def _kinds(records: Records) -> Iterator[tuple[str, np.ndarray]]:
    fine = records["code"] == OK
    if (fine & ~records["wrong"]).any():
        yield "good", fine & ~records["wrong"]
    if (fine & records["wrong"]).any():
        yield "wrong answer", fine & records["wrong"]
    for code in np.unique(records["code"][~fine]):
        yield CODES[code], records["code"] == code


def _name_of(run: Recorded) -> str:
    """Its title, cut where it would leave no place for the plot; a legend has no names that begin with a line."""
    title = run.title if len(run.title) <= _LONGEST else f"{run.title[: _LONGEST - 1]}…"
    return f" {title}" if title.startswith("_") else title


def _other(axes: Axes, up: str) -> Axes:
    """Axes with a scale of their own on the right."""
    other = axes.twinx()
    other.grid(visible=False)
    other.set_ylabel(up)
    return other


def _name(axes: Axes, across: str, up: str) -> None:
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    if across.startswith("second"):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))


@contextmanager
def _axes(title: str) -> Iterator[tuple[Axes, list[str]]]:
    """Axes to draw on; afterwards the list holds the picture, without what an SVG file has beyond its element.

    The legend stands above the axes, where it covers nothing.
    """
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(7.2, 3.4), layout="constrained")
        svg: list[str] = []
        yield figure.add_subplot(), svg
        for axes in figure.axes:
            axes.spines["right"].set_visible(len(figure.axes) > 1)
        handles = [handle for axes in figure.axes for handle in axes.get_legend_handles_labels()[0]]
        if handles:
            figure.legend(handles=handles, loc="outside upper left", ncols=4, frameon=False, fontsize=9)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
        svg.append(_for_page(buffer.getvalue(), title))


def _for_page(text: str, title: str) -> str:
    """The element of an SVG file in the colour of the page's text, with its title for screen readers."""
    text = re.sub(r"^.*?<svg", f'<svg role="img" aria-label="{title}"', text, flags=re.DOTALL)
    return text.replace(_INK, "currentColor")
