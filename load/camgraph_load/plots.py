"""The plots of a report, each as SVG."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from camgraph_load.recorded import Recorded
from camgraph_load.records import OK, STAGES, Records
from camgraph_load.summary import CODES
from camgraph_load.usage import processors

_STYLE: dict[Any, Any] = {
    "svg.hashsalt": "camgraph",
    "font.size": 9,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "svg.fonttype": "none",
}
_SHOWN = (50, 90, 99)
_MOST_POINTS = 2000
_MIB = 1024 * 1024


def over_time(run: Recorded) -> str:
    """Latency percentiles, by the second in which a call was due."""
    records = run.outcome.records
    fine = records[records["code"] == OK]
    with _axes() as (axes, svg):
        second = fine["due"].astype(np.int64)
        latency = (fine["done"] - fine["due"]) * 1e3
        shown = [number for number in range(int(second.max(initial=-1)) + 1) if (second == number).any()]
        for percent in _SHOWN:
            values = [np.percentile(latency[second == number], percent) for number in shown]
            axes.plot(shown, values, label=f"p{percent}")
        _name(axes, "second of the run", "latency, ms")
        axes.set_ylim(bottom=0)
    return svg[0]


def outcomes(run: Recorded) -> str:
    """Calls per second, by what became of them."""
    records = run.outcome.records
    second = records["due"].astype(np.int64)
    count = int(second.max(initial=0)) + 1
    with _axes() as (axes, svg):
        below = np.zeros(count)
        for name, chosen in _kinds(records):
            per_second = np.bincount(second[chosen], minlength=count)
            axes.bar(range(count), per_second, bottom=below, label=name, width=1.0)
            below += per_second
        _name(axes, "second of the run", "calls per second")
    return svg[0]


def distribution(runs: Sequence[Recorded]) -> str:
    """Latency by percentile, with the tail spread out."""
    with _axes() as (axes, svg):
        for run in runs:
            records = run.outcome.records
            fine = records[records["code"] == OK]
            if not len(fine):
                continue
            latency = np.sort(fine["done"] - fine["due"]) * 1e3
            beyond = 1 - (np.arange(len(latency)) + 0.5) / len(latency)
            points = np.unique(np.geomspace(1, len(latency), _MOST_POINTS).astype(np.int64))
            axes.plot(1 / beyond[-points], latency[-points], label=run.title)
        axes.set_xscale("log")
        ticks = (1, 2, 10, 100, 1000, 10_000)
        axes.set_xticks(ticks, ["0", "50", "90", "99", "99.9", "99.99"])
        axes.set_xlim(1, 2 * max(len(run.outcome.records) for run in runs))
        _name(axes, "percentile", "latency, ms")
        axes.set_ylim(bottom=0)
    return svg[0]


def stages(runs: Sequence[Recorded]) -> str:
    """Where the time goes: mean milliseconds of each stage, and what lies outside the server's own clock."""
    with _axes() as (axes, svg):
        labels = [run.title for run in runs]
        left = np.zeros(len(runs))
        for stage in STAGES:
            values = np.array([run.summary.stages[stage] for run in runs])
            axes.barh(labels, values, left=left, label=stage)
            left += values
        whole = np.array([run.summary.service.mean for run in runs])
        axes.barh(labels, np.maximum(0.0, whole - left), left=left, label="transport", color="lightgrey")
        axes.set_xlabel("mean time of a call, ms")
        axes.legend(fontsize=7, ncols=4)
    return svg[0]


def server_usage(run: Recorded) -> str:
    """Processors and memory of the server over time."""
    usage = run.outcome.usage
    with _axes() as (axes, svg):
        axes.step(usage["at"][1:], processors(usage), where="pre", label="processors in use")
        axes.set_ylim(bottom=0)
        memory = axes.twinx()
        memory.plot(usage["at"], usage["memory"] / _MIB, color="tab:red", label="memory")
        memory.set_ylim(bottom=0)
        memory.set_ylabel("memory, MiB")
        memory.legend(fontsize=7, loc="lower right")
        _name(axes, "second of the run", "processors")
    return svg[0]


def against_load(steps: Sequence[Recorded]) -> str:
    """Good answers per second and latency against the offered rate."""
    summaries = [step.summary for step in steps]
    offered = [summary.offered for summary in summaries]
    with _axes() as (axes, svg):
        axes.plot(offered, offered, color="lightgrey", label="offered")
        axes.plot(offered, [summary.good for summary in summaries], marker="o", label="good answers/s")
        latency = axes.twinx()
        for name, line in (("p50", ":"), ("p99", "--")):
            values = [summary.latency.percentiles[name] for summary in summaries]
            latency.plot(offered, values, line, color="tab:red", label=f"latency {name}")
        latency.set_ylabel("latency, ms")
        latency.legend(fontsize=7, loc="center left")
        axes.set_ylim(bottom=0)
        latency.set_ylim(bottom=0)
        _name(axes, "offered calls per second", "calls per second")
    return svg[0]


def _kinds(records: Records) -> Iterator[tuple[str, np.ndarray]]:
    fine = records["code"] == OK
    yield "good", fine & ~records["wrong"]
    if (fine & records["wrong"]).any():
        yield "wrong answer", fine & records["wrong"]
    for code in np.unique(records["code"][~fine]):
        yield CODES[code], records["code"] == code


def _name(axes: Axes, across: str, up: str) -> None:
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=7)


@contextmanager
def _axes() -> Iterator[tuple[Axes, list[str]]]:
    """Axes to draw on; afterwards the list holds the picture, without what an SVG file has beyond its element."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(7.2, 3.2), layout="constrained")
        svg: list[str] = []
        yield figure.add_subplot(), svg
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None})
        svg.append(re.sub(r"^.*?(?=<svg)", "", buffer.getvalue(), flags=re.DOTALL))
