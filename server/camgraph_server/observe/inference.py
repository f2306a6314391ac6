"""How often graphs ran, and how long that took, for each model and version, under the names of NVIDIA Triton."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Literal, TypeAlias

from camgraph_server.call import Call
from camgraph_server.observe.observers import Observer

Reason = Literal["REJECTED", "CANCELED", "BACKEND", "OTHER"]
ModelKey: TypeAlias = tuple[str, str]
"""Name and version; both empty for a call that ended before its model was found."""


class InferenceCounts(Observer):
    """Counts explanations by model and version. Names that callers invent never become keys.

    Attributes:
        failures: How many were not answered, by model and reason.
        of_model: The sums of those that were answered: numbers of calls, images and runs, and microseconds.
    """

    def __init__(self) -> None:
        self.failures: Counter[tuple[ModelKey, Reason]] = Counter()
        self.of_model: dict[ModelKey, dict[str, float]] = {}

    def ended(self, call: Call) -> None:
        """Counts it, if it was to run a model; of a stream, each of its requests."""
        if not call.explains:
            return
        model = model_key(call)
        if call.status != "OK":
            self.failures[model, reason_of(call)] += 1
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
        sums = self.of_model.setdefault(model, dict.fromkeys(added, 0.0))
        for name, value in added.items():
            sums[name] += value

    def failed(self, key: ModelKey) -> int:
        """How many explanations of a model were not answered."""
        return sum(count for (model, _), count in self.failures.items() if model == key)


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
