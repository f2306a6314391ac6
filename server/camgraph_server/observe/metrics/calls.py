"""Metrics of calls, under the names that servers of gRPC usually have, and the time that their stages take."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram

from camgraph_server.call import STAGES, Call
from camgraph_server.observe.observers import Observer

_METHOD = ("grpc_type", "grpc_service", "grpc_method")
_STAGE_SECONDS = (
    *(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)


class CallMetrics(Observer):
    """Counts calls and clocks them. Labels have the names of methods, of status codes and of stages alone.

    Args:
        registry: Gets the metrics.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._started = Counter("grpc_server_started", "Calls that came.", _METHOD, registry=registry)
        self._handled = Counter(
            "grpc_server_handled",
            "Calls that ended, by status code in the spelling of Go.",
            (*_METHOD, "grpc_code"),
            registry=registry,
        )
        self._received = Counter(
            "grpc_server_msg_received", "Requests of camgraph's methods.", _METHOD, registry=registry
        )
        self._sent = Counter("grpc_server_msg_sent", "Answers of camgraph's methods.", _METHOD, registry=registry)
        self._seconds = Histogram(
            "grpc_server_handling_seconds", "Time from a call's headers to its end.", _METHOD, registry=registry
        )
        self._stages = Histogram(
            "camgraph_stage_seconds",
            "Time that calls spent in a stage; `queue` is the wait for a worker.",
            ("stage",),
            buckets=_STAGE_SECONDS,
            registry=registry,
        )
        self._of_stage = {stage: self._stages.labels(stage) for stage in STAGES}

    def began(self, call: Call) -> None:
        """Counts it. The requests of a stream are messages of one call."""
        if call.item is None:
            self._started.labels(*_method(call)).inc()

    def ended(self, call: Call) -> None:
        """Counts its end, and adds its times."""
        method = _method(call)
        if call.item is None:
            self._handled.labels(*method, go_name(call.status)).inc()
            self._seconds.labels(*method).observe(call.elapsed_ms / 1e3)
        if call.items is None:
            self._received.labels(*method).inc(call.received is not None)
            self._sent.labels(*method).inc(call.sent is not None)
        for stage, begin, end in call.spans():
            self._of_stage[stage].observe(end - begin)


def go_name(status: str) -> str:
    """A status code as gRPC's Go library spells it, which dashboards expect: `INVALID_ARGUMENT` is InvalidArgument."""
    if status == "OK":
        return status
    return "Canceled" if status == "CANCELLED" else status.title().replace("_", "")


def _method(call: Call) -> tuple[str, str, str]:
    return call.kind, call.service, call.rpc
