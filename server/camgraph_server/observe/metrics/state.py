"""What is looked up when somebody asks for the metrics: memory, jobs, models, the certificate."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from camgraph_server.budget import Budget
from camgraph_server.observe.log import lines_dropped


@dataclass(frozen=True)
class State:
    """Where to look. Each is called on the metrics' own thread.

    Attributes:
        budgets: Memory that calls hold together, by what it is for.
        jobs: Number of jobs by what they do: wait or run.
        models: Name, version and state of each model.
        model_states: All states that a model can have.
        certificate_expiry: When the certificate expires, in seconds since 1970; None without one.
        audit_lines_lost: Lines of the audit log that could not be written; None without one.
    """

    budgets: Mapping[str, Budget]
    jobs: Callable[[], Mapping[str, int]]
    models: Callable[[], Iterable[tuple[str, str, str]]]
    model_states: tuple[str, ...]
    certificate_expiry: Callable[[], float | None]
    audit_lines_lost: Callable[[], int | None]


class StateMetrics(Collector):
    """The state of the server at the moment when it is asked for.

    Args:
        registry: Gets the metrics.
        state: Where to look.
    """

    def __init__(self, registry: CollectorRegistry, state: State) -> None:
        self._state = state
        registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """Looks everything up."""
        yield self._memory("held", "Bytes that calls hold.", lambda budget: budget.held)
        yield self._memory("limit", "Bytes that calls may hold together.", lambda budget: budget.size)
        jobs = GaugeMetricFamily("camgraph_jobs", "Requests that wait for a worker, or run.", labels=("state",))
        for state, count in self._state.jobs().items():
            jobs.add_metric((state,), count)
        yield jobs
        yield self._models()
        yield from self._certificate()
        dropped = CounterMetricFamily(
            "camgraph_log_lines_dropped", "Lines of the log that could not be written, or that nobody read in time."
        )
        dropped.add_metric((), lines_dropped())
        yield dropped
        if (lost := self._state.audit_lines_lost()) is not None:
            yield CounterMetricFamily(
                "camgraph_audit_lines_lost", "Lines of the audit log that could not be written.", value=lost
            )
        build = GaugeMetricFamily("camgraph_build_info", "Versions, as labels.", labels=("version", "onnxruntime"))
        build.add_metric((version("camgraph"), _onnxruntime()), 1)
        yield build

    def _memory(self, what: str, text: str, look: Callable[[Budget], int]) -> Metric:
        metric = GaugeMetricFamily(f"camgraph_memory_{what}_bytes", text, labels=("budget",))
        for name, budget in self._state.budgets.items():
            metric.add_metric((name,), look(budget))
        return metric

    def _models(self) -> Metric:
        metric = GaugeMetricFamily(
            "camgraph_model_state", "1 for the state that a model has.", labels=("model", "version", "state")
        )
        for name, number, now in self._state.models():
            for state in self._state.model_states:
                metric.add_metric((name, number, state), state == now)
        return metric

    def _certificate(self) -> Iterator[Metric]:
        expiry = self._state.certificate_expiry()
        if expiry is not None:
            yield GaugeMetricFamily(
                "camgraph_tls_certificate_expiry_timestamp_seconds",
                "When the server's certificate expires, in seconds since 1970.",
                value=expiry,
            )


def _onnxruntime() -> str:
    for name in ("onnxruntime", "onnxruntime-gpu"):
        try:
            return version(name)
        except ImportError:
            continue
    return ""
