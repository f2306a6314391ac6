"""Metrics of inference for each model and version, with the names, units and reasons of NVIDIA Triton.

https://docs.nvidia.com/deeplearning/triton-inference-server/user-guide/docs/user_guide/metrics.html
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Literal, TypeAlias

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from camgraph_server.call import Call
from camgraph_server.observe.observers import Observer

Reason = Literal["REJECTED", "CANCELED", "BACKEND", "OTHER"]
ModelKey: TypeAlias = tuple[str, str]
"""Name and version; both empty for a call that ended before its model was found."""

_HELP = {
    "request_success": "Explanations that were answered.",
    "request_failure": "Explanations that were not answered, by reason.",
    "count": "Images that graphs ran for.",
    "exec_count": "Runs of graphs; a batch is one.",
    "request_duration_us": "Time of answered calls from their headers to the end, in microseconds.",
    "queue_duration_us": "Time that they waited for a worker and for their batch.",
    "compute_input_duration_us": "Time in which their tensors were made.",
    "compute_infer_duration_us": "Time in which their graphs ran.",
    "compute_output_duration_us": "Time in which their maps and pictures were made.",
}


class InferenceMetrics(Observer, Collector):
    """Counts explanations by model and version. Names that callers invent never become labels.

    Triton's counters are not called ``_total``, which Prometheus asks of a counter; so their type is untyped.

    Args:
        registry: Gets the metrics.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._failures: Counter[tuple[ModelKey, Reason]] = Counter()
        self._of_model: dict[ModelKey, dict[str, float]] = {}
        registry.register(self)

    def ended(self, call: Call) -> None:
        """Counts it, if it was to run a model; of a stream, each of its requests."""
        if not call.explains:
            return
        model = model_key(call)
        if call.status != "OK":
            self._failures[model, reason_of(call)] += 1
            return
        seconds: defaultdict[str, float] = defaultdict(float)
        for stage, begin, end in call.spans():
            seconds[stage] += end - begin
        ran = (call.inference_ms or 0.0) / 1e3
        added = {
            "request_success": 1,
            "count": 1,
            "exec_count": 1 / call.batch_size,
            "request_duration_us": call.elapsed_ms * 1e3,
            "queue_duration_us": (seconds["queue"] + seconds["infer"] - ran) * 1e6,
            "compute_input_duration_us": seconds["prepare"] * 1e6,
            "compute_infer_duration_us": ran * 1e6,
            "compute_output_duration_us": seconds["post"] * 1e6,
        }
        sums = self._of_model.setdefault(model, dict.fromkeys(added, 0.0))
        for name, value in added.items():
            sums[name] += value

    def collect(self) -> Iterator[Metric]:
        """The sums as they are now. It may run while calls are counted."""
        failures = Metric("nv_inference_request_failure", _HELP["request_failure"], "unknown")
        for ((name, version), reason), count in list(self._failures.items()):
            failures.add_sample(failures.name, {"model": name, "version": version, "reason": reason}, count)
        yield failures
        models = [(key, dict(sums)) for key, sums in list(self._of_model.items())]
        for short, text in _HELP.items():
            if short == "request_failure":
                continue
            metric = Metric(f"nv_inference_{short}", text, "unknown")
            for (name, version), sums in models:
                metric.add_sample(metric.name, {"model": name, "version": version}, round(sums[short], 3))
            yield metric


def model_key(call: Call) -> ModelKey:
    """Name and version of the model that was found, or nothing: what a caller writes is no label."""
    return (call.model or "", call.version) if call.version is not None else ("", "")


def reason_of(call: Call) -> Reason:
    """Why a call was not answered, in Triton's words.

    REJECTED: the server had no room or no time for it. CANCELED: its caller gave it up. BACKEND: the graph, or camgraph
    itself, failed. OTHER: it could not be answered, whoever tries.
    """
    if call.status == "CANCELLED":
        return "CANCELED"
    if call.status in {"UNAVAILABLE", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED"}:
        return "REJECTED"
    return "BACKEND" if call.status in {"INTERNAL", "UNKNOWN"} else "OTHER"
