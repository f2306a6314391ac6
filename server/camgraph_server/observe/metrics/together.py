"""All metrics of a server, put together."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector, disable_created_metrics

from camgraph_server.observe.inference import InferenceCounts
from camgraph_server.observe.metrics.calls import CallMetrics
from camgraph_server.observe.metrics.drift import Drift
from camgraph_server.observe.metrics.inference import InferenceMetrics
from camgraph_server.observe.metrics.live import LiveCalls
from camgraph_server.observe.metrics.loop import LoopWatch
from camgraph_server.observe.metrics.port import MetricsPort
from camgraph_server.observe.metrics.state import State, StateMetrics
from camgraph_server.observe.observers import Observer


def metrics(
    address: str | None, state: State, counts: InferenceCounts, registry: CollectorRegistry | None = None
) -> list[Observer]:
    """The observers that count calls, and the port that tells the numbers.

    Args:
        address: HOST:PORT of the port; None without one.
        state: Where to look up what is not counted.
        counts: What is told of inference.
        registry: Gets the metrics; by default one of its own.
    """
    disable_created_metrics()  # type: ignore[no-untyped-call]  # each would double the number of series, and nobody reads them
    registry = registry or CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    StateMetrics(registry, state)
    InferenceMetrics(registry, counts)
    loop = LoopWatch(registry)
    counting = [CallMetrics(registry), LiveCalls(registry), Drift(registry, state.models)]
    port = [] if address is None else [MetricsPort(address, registry, loop.stall)]
    return [*counting, loop, *port]
