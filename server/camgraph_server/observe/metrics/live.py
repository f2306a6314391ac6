"""Which calls are in progress, and where."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from camgraph_server.call import STAGES, Call
from camgraph_server.observe.inference import model_key
from camgraph_server.observe.observers import Observer


class LiveCalls(Observer, Collector):
    """Counts calls in progress by stage, and those that wait by model.

    Args:
        registry: Gets the metrics.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._live: set[Call] = set()
        registry.register(self)

    def began(self, call: Call) -> None:
        """Adds it."""
        self._live.add(call)

    def ended(self, call: Call) -> None:
        """Takes it out."""
        self._live.discard(call)

    def collect(self) -> Iterator[Metric]:
        """The numbers of this moment. Calls go on meanwhile."""
        now = [(call.stage, model_key(call)) for call in list(self._live)]
        stages = Counter(stage for stage, _ in now)
        calls = GaugeMetricFamily("camgraph_calls", "Calls in progress, by stage.", labels=("stage",))
        for stage in STAGES:
            calls.add_metric((stage,), stages[stage])
        yield calls
        pending = GaugeMetricFamily(
            "nv_inference_pending_request_count",
            "Requests that wait for a worker, by model.",
            labels=("model", "version"),
        )
        for model, count in Counter(model for stage, model in now if stage == "queue").items():
            pending.add_metric(model, count)
        yield pending
