"""What a run says in numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from camgraph_load.fleet import Outcome
from camgraph_load.records import OK, STAGES, Records, Seconds
from camgraph_load.usage import Usage, processors

PERCENTILES = (50.0, 90.0, 95.0, 99.0, 99.9)
CODES = (
    *("OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS"),
    *("PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE"),
    *("UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"),
)
"""Names of gRPC's status codes, by number."""

_FILLING = 0.1
"""Part of a run in which a queue fills."""

_MIB = 1024 * 1024
_BUSY = 0.9
"""CPU seconds per second from which a Python process counts as busy."""
_LATE = 0.1
"""Part of the median latency that the event loop may be late at its 99th percentile."""


@dataclass(frozen=True)
class Latency:
    """Milliseconds of the calls that were answered with OK: percentiles by name ("p50"), mean and largest."""

    percentiles: Mapping[str, float]
    mean: float
    largest: float

    @classmethod
    def of(cls, seconds: Seconds) -> Latency:
        """The latency of these calls; zeros of none."""
        if not len(seconds):
            return cls({_name(percent): 0.0 for percent in PERCENTILES}, 0.0, 0.0)
        values = np.percentile(seconds, PERCENTILES, method="inverted_cdf") * 1e3
        percentiles = {_name(percent): float(value) for percent, value in zip(PERCENTILES, values, strict=True)}
        return cls(percentiles, float(seconds.mean() * 1e3), float(seconds.max() * 1e3))


@dataclass(frozen=True)
class Summary:
    """A run in numbers.

    Attributes:
        calls: Number of calls that were due.
        seconds: Length of the schedule.
        offered: Calls that were due per second. This and the next three rates leave out the first tenth of the run, in
            which a queue fills.
        answered: Answers with OK per second.
        good: Right answers per second: what the server is there for.
        wrong: Number of answers with OK that are not what was asked for.
        codes: Number of calls by gRPC status code.
        latency: From when a call was due to its answer. A late call counts from when it was due, so that a server that
            stalls cannot hide it (coordinated omission, G. Tene). Of a closed loop the same as `service`.
        service: From when a call was sent to its answer.
        megabytes: Answers per second, in 10^6 bytes.
        stages: Mean time of each stage on the server, in milliseconds.
        client_cpu: CPU seconds per second of the busiest sending process.
        client_lag: 99th percentile of the event loops' lag, in milliseconds.
        client_is_measured: The client was too busy or too late: the figures are its own.
        server_cpu: CPU seconds of the server per second of the steady part; None where nobody looked.
        server_memory: Largest memory of the server that was seen, in MiB; None where nobody looked.

    """

    calls: int
    seconds: float
    offered: float
    answered: float
    good: float
    wrong: int
    codes: Mapping[str, int]
    latency: Latency
    service: Latency
    megabytes: float
    stages: Mapping[str, float]
    client_cpu: float
    client_lag: float
    client_is_measured: bool
    server_cpu: float | None
    server_memory: float | None

    @property
    def has_answers(self) -> bool:
        """Whether any call was answered with OK; without one there is no latency, and its figures are zeros."""
        return self.codes.get("OK", 0) > 0

    def latency_in_words(self, *percentiles: str) -> list[str]:
        """These percentiles and the largest latency in milliseconds; dashes where no call was answered with OK."""
        if not self.has_answers:
            return ["–"] * (len(percentiles) + 1)
        values = (*(self.latency.percentiles[name] for name in percentiles), self.latency.largest)
        return [f"{value:.1f}" for value in values]

    def to_json(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)


def summarise(outcome: Outcome, duration: float) -> Summary:
    """The numbers of a run of this length, in seconds."""
    records = outcome.records
    fine = records[records["code"] == OK]
    steady = _FILLING * duration, duration
    answers = fine[_within(fine["done"], steady)]
    seconds = steady[1] - steady[0]
    service = Latency.of(fine["done"] - fine["sent"])
    lag = float(np.percentile(outcome.lag, 99) * 1e3) if len(outcome.lag) else 0.0
    return Summary(
        calls=len(records),
        seconds=duration,
        offered=float(_within(records["due"], steady).sum() / seconds),
        answered=len(answers) / seconds,
        good=float((~answers["wrong"]).sum() / seconds),
        wrong=int(fine["wrong"].sum()),
        codes=_codes(records),
        latency=Latency.of(fine["done"] - fine["due"]),
        service=service,
        megabytes=float(answers["size"].sum() / seconds / 1e6),
        stages={stage: float(value) for stage, value in zip(STAGES, _mean(fine["stages"]), strict=True)},
        client_cpu=outcome.cpu,
        client_lag=lag,
        client_is_measured=outcome.cpu > _BUSY or lag > _LATE * service.percentiles["p50"] > 0,
        server_cpu=_server_cpu(outcome.usage[_within(outcome.usage["at"], steady)]),
        server_memory=float(outcome.usage["memory"].max() / _MIB) if len(outcome.usage) else None,
    )


def _server_cpu(usage: Usage) -> float | None:
    if len(usage) < 2:
        return None
    passed = np.diff(usage["at"])
    return float((processors(usage) * passed).sum() / passed.sum())


def _within(times: Seconds, span: tuple[float, float]) -> NDArray[np.bool_]:
    return (times >= span[0]) & (times <= span[1])


def _codes(records: Records) -> dict[str, int]:
    numbers, counts = np.unique(records["code"], return_counts=True)
    return {CODES[number]: int(count) for number, count in zip(numbers, counts, strict=True)}


def _mean(stages: Any) -> Any:
    return stages.mean(axis=0) if len(stages) else np.zeros(len(STAGES))


def _name(percent: float) -> str:
    return f"p{percent:g}"
