"""What is sent: requests, each with what its answer must have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from google.protobuf.message import DecodeError

from camgraph.v1 import explanation_pb2 as pb
from camgraph_load.records import NO_STAGES, STAGES


@dataclass(frozen=True)
class Call:
    """A request that is sent again and again.

    Attributes:
        name: What the report calls it.
        request: The serialised `ExplainRequest`.
        explanations: How many its answer has.
        outputs: How many each explanation has, or None where that depends on the number of layers.
        expected: The answer's outputs, where they are known to the bit; see `fingerprint`.
        weight: How often it is sent, relative to the others.

    """

    name: str
    request: bytes
    explanations: int
    outputs: int | None
    expected: tuple[bytes, ...] | None = None
    weight: float = 1.0


@dataclass(frozen=True)
class Mix:
    """The calls of a run."""

    calls: tuple[Call, ...]
    seed: int = 0
    _shares: list[float] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        weights = np.array([call.weight for call in self.calls])
        object.__setattr__(self, "_shares", list(weights / weights.sum()))

    def order(self, count: int, process: int) -> Sequence[int]:
        """Which call is sent first, second ...: `count` indices."""
        generator = np.random.default_rng([self.seed, process])
        drawn: Sequence[int] = generator.choice(len(self.calls), count, p=self._shares).tolist()
        return drawn


@dataclass(frozen=True)
class Verdict:
    """What an answer turned out to be."""

    wrong: bool
    stages: tuple[float, ...]


def judge(call: Call, answer: bytes) -> Verdict:
    """Reads an answer and says whether it is what was asked for."""
    try:
        response = pb.ExplainResponse.FromString(answer)
    except DecodeError:
        return Verdict(wrong=True, stages=NO_STAGES)
    stages = tuple(float(getattr(response.timings, f"{stage}_ms")) for stage in STAGES)
    return Verdict(not _is_right(call, response), stages)


def fingerprint(response: pb.ExplainResponse) -> tuple[bytes, ...]:
    """All outputs of an answer, one after the other: equal for answers that are equal to the bit."""
    outputs = (output for explanation in response.explanations for output in explanation.outputs)
    return tuple(output.tensor.data if output.WhichOneof("value") == "tensor" else output.encoded for output in outputs)


def _is_right(call: Call, response: pb.ExplainResponse) -> bool:
    if len(response.explanations) != call.explanations:
        return False
    if call.outputs is not None and any(len(item.outputs) != call.outputs for item in response.explanations):
        return False
    if any(item.statistics.nonfinite for item in response.explanations):
        return False
    if not all(_is_whole(output) for item in response.explanations for output in item.outputs):
        return False
    return call.expected is None or fingerprint(response) == call.expected


def _is_whole(output: pb.Output) -> bool:
    if output.WhichOneof("value") == "encoded":
        return len(output.encoded) > 0
    tensor = output.tensor
    size = np.dtype(tensor.dtype).itemsize if tensor.dtype else 0
    return size > 0 and len(tensor.data) == size * int(np.prod(tensor.shape, dtype=np.int64))
