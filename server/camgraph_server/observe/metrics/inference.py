"""Metrics of inference for each model and version, with the names, units and reasons of NVIDIA Triton.

https://docs.nvidia.com/deeplearning/triton-inference-server/user-guide/docs/user_guide/metrics.html
"""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from camgraph_server.observe.inference import InferenceCounts

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


class InferenceMetrics(Collector):
    """Tells the counts of explanations.

    Triton's counters are not called ``_total``, which Prometheus asks of a counter; so their type is untyped.

    Args:
        registry: Gets the metrics.
        counts: What is told.
    """

    def __init__(self, registry: CollectorRegistry, counts: InferenceCounts) -> None:
        self._counts = counts
        registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """The sums as they are now. It may run while calls are counted."""
        failures = Metric("nv_inference_request_failure", _HELP["request_failure"], "unknown")
        for ((name, version), reason), count in list(self._counts.failures.items()):
            failures.add_sample(failures.name, {"model": name, "version": version, "reason": reason}, count)
        yield failures
        models = [(key, dict(sums)) for key, sums in list(self._counts.of_model.items())]
        for short, text in _HELP.items():
            if short == "request_failure":
                continue
            metric = Metric(f"nv_inference_{short}", text, "unknown")
            for (name, version), sums in models:
                metric.add_sample(metric.name, {"model": name, "version": version}, round(sums[short], 3))
            yield metric
