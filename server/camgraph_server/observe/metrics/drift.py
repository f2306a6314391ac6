"""Explanation drift: what maps look like, so that a model that stops looking at its object is noticed.

A model whose inputs change (a camera that was moved, another light, a new product) often keeps its confidence while its
maps become empty, constant, or cover everything. Shares of such maps over time say so before labels can.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from camgraph_core.statistics import MapStatistics
from camgraph_server.call import Call
from camgraph_server.observe.inference import model_key
from camgraph_server.observe.observers import Explained, Observer

KINDS = ("fine", "empty", "constant", "nonfinite")
_MODEL = ("model", "version")
_SHARES = tuple(twentieth / 20 for twentieth in range(21))


class Drift(Observer, Collector):
    """Counts the kinds of maps of each model and version.

    Args:
        registry: Gets the metrics.
        models: Name, version and state of each model.
    """

    def __init__(self, registry: CollectorRegistry, models: Callable[[], Iterable[tuple[str, str, str]]]) -> None:
        self._models = models
        registry.register(self)
        self._maps = Counter(
            "camgraph_maps",
            "Maps that were explained: fine, empty (no cell is positive), constant, or nonfinite.",
            (*_MODEL, "kind"),
            registry=registry,
        )
        self._positive = Histogram(
            "camgraph_map_positive_share",
            "Share of a map's cells that speak for the target, 0 to 1.",
            _MODEL,
            buckets=_SHARES,
            registry=registry,
        )

    def explained(self, call: Call, explained: Explained) -> None:
        """Adds the maps of one request."""
        model = model_key(call)
        for explanation in explained.result.explanations:
            statistics = explanation.statistics
            self._maps.labels(*model, kind_of(statistics)).inc()
            self._positive.labels(*model).observe(statistics.positive_share)

    def collect(self) -> Iterable[Metric]:
        """Has the counts of each model begin at zero: an increase from nothing to one is none for Prometheus."""
        for name, version, _ in self._models():
            for kind in KINDS:
                self._maps.labels(name, version, kind)
        return ()


def kind_of(statistics: MapStatistics) -> str:
    """Which of `KINDS` a map is. A constant map without a positive cell counts as empty."""
    if statistics.nonfinite:
        return "nonfinite"
    if statistics.all_nonpositive:
        return "empty"
    return "constant" if statistics.constant else "fine"
