"""Makes the table of docs/observing.md from the metrics that a server has; the rest of the page is written by hand."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric

from camgraph_core.canvas import Canvas
from camgraph_core.explanation import Explanation
from camgraph_core.frame import Frame
from camgraph_core.request import Addressed, Request
from camgraph_core.result import ClassScore, Result
from camgraph_core.statistics import MapStatistics
from camgraph_core.style import Style
from camgraph_server.access.client import Client
from camgraph_server.budget import Budget, Share
from camgraph_server.call import STAGES, Call
from camgraph_server.observe.inference import InferenceCounts
from camgraph_server.observe.metrics.port import MetricsPort
from camgraph_server.observe.metrics.state import State
from camgraph_server.observe.metrics.together import metrics
from camgraph_server.observe.observers import Explained, Observer, Observers
from page_text import table

_PAGE = Path(__file__).resolve().parent.parent / "docs/observing.md"
_TABLE = re.compile(r"(<!-- metrics, [^\n]*-->\n).*?(\n<!-- end of metrics -->)", re.DOTALL)


def make() -> str:
    """The page."""
    rows = [_row(metric) for metric in after_two_calls().collect()]
    made = table(("metric", "type", "labels", "meaning"), sorted(rows))
    return _TABLE.sub(lambda found: f"{found[1]}\n{made}\n{found[2]}", _PAGE.read_text(encoding="utf-8"))


def after_two_calls() -> CollectorRegistry:
    """The metrics of a server that answered a call and refused one, while a third waits."""
    counts = InferenceCounts()
    observers = [counts, *metrics("127.0.0.1:0", _state(), counts)]
    told = Observers(observers)
    with told.watching(_call()) as call:
        call.status = "OK"
        for stage in STAGES:
            call.enter(stage)
        told.explained(call, Explained(None, Addressed(request=Request()), _result()))  # type: ignore[arg-type]  # no graph
    with told.watching(_call()):
        pass
    waiting = _call()
    waiting.enter("queue")
    _began(observers, waiting)
    [port] = [each for each in observers if isinstance(each, MetricsPort)]
    return port.registry


def _began(observers: list[Observer], call: Call) -> None:
    for observer in observers:
        observer.began(call)


def _row(metric: Metric) -> tuple[str, str, str, str]:
    labels = dict.fromkeys(name for sample in metric.samples for name in sample.labels if name != "le")
    name = f"{metric.name}_total" if metric.type == "counter" else metric.name
    kind = "untyped" if metric.type == "unknown" else metric.type
    return f"`{name}`", kind, ", ".join(f"`{label}`" for label in labels), metric.documentation


def _call() -> Call:
    call = Call(
        "camgraph.v1.ExplanationService", "Explain", "ipv4:127.0.0.1:1", Client("127.0.0.1"), None, Share(Budget(1))
    )
    call.model, call.version, call.received = "tiny", "1", 1
    return call


def _result() -> Result:
    target, frame = ClassScore(0, "", 0.0, 0.0), Frame.identity(1, 1)
    canvas = Canvas(frame, Style(), None, lambda: None)  # type: ignore[arg-type, return-value]  # nothing is drawn
    raw = np.ones((1, 1), np.float32)
    explanation = Explanation(
        *(target, None, False, MapStatistics.of(raw), ("layer",), "grad-cam", True, canvas, {}, True)
    )
    return Result([], [explanation], canvas)


def _state() -> State:
    return State(
        budgets={"requests": Budget(1)},
        jobs=lambda: {"waiting": 1},
        models=lambda: [("tiny", "1", "ready")],
        model_states=("ready",),
        certificate_expiry=lambda: 0.0,
        audit_lines_lost=lambda: 0,
    )
