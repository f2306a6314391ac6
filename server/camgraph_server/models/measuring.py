"""What runs of a loaded graph take of memory, measured by running it, in a process that does nothing else."""

from __future__ import annotations

import math
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from camgraph_core.errors import CamgraphError
from camgraph_core.request import Request
from camgraph_runtime.explainers import AnyExplainer
from camgraph_runtime.network_input import NetworkInput
from camgraph_runtime.preprocess.layout import spatial_axes
from camgraph_runtime.run.stop import Stop
from camgraph_runtime.run_memory import RunMemory
from camgraph_server.config.limits import MIB
from camgraph_server.heap import trim

_MOST_BYTES = 512 * MIB
_MOST_SECONDS = 1.0
_DOUBLINGS = 2  # of height and width, where the graph leaves them open
_FEW = 4  # targets, which are measured however long a run takes
_SHOWS = 4  # times as much as with one target; from there on it is taken to grow in proportion
_UNSURE = 2 * MIB  # what a measurement may be wrong by
_STATUS, _CLEAR_REFS = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_FORGET_PEAK = "5"


@dataclass(frozen=True)
class Cost:
    """Bytes and seconds of a run."""

    bytes: int
    seconds: float

    def allows(self, times: int) -> bool:
        """Whether a run of so many times as much may be measured."""
        return times * self.bytes <= _MOST_BYTES and times * self.seconds <= _MOST_SECONDS


def measured(explainer: AnyExplainer) -> RunMemory | None:
    """What its runs take; None where the system does not tell.

    Nothing else may run in this process. The graph is run for images of its own size, twice and four times that
    where it takes them, and for up to as many targets as are allowed, as long as a run stays short and small.

    Args:
        explainer: Has explained its sample.
    """
    assert explainer.sample is not None, "it was tried"
    with suppress(OSError):
        return Measuring(explainer, explainer.sample).result()
    return None


class Measuring:
    """Measures runs of a graph; see `measured`.

    Args:
        explainer: Runs the graph.
        sample: An image that it has explained.
    """

    def __init__(self, explainer: AnyExplainer, sample: NetworkInput) -> None:
        self._explainer, self._sample = explainer, sample
        self._explainer.engine.is_large = lambda _: True  # so that each run begins with nothing

    def result(self) -> RunMemory:
        """What runs take, from as many of them as are short and small enough."""
        own = largest = self.cost(self._sample, 1)
        image, power = self._sample, 1.0
        for _ in range(_DOUBLINGS if self._is_open else 0):
            larger = enlarged(image, self._explainer, 2)
            if not largest.allows(4) or (cost := self._tried(larger, 1)) is None:
                break
            power = min(2.0, max(1.0, math.log((cost.bytes + _UNSURE) / (largest.bytes + _UNSURE), 4)))
            image, largest = larger, cost
        most = self._most_targets(image, largest) if largest.allows(_FEW) else self._most_targets(self._sample, own)
        size = (self._explainer.batch_size or 1) * image.tensor.size
        return RunMemory(own.bytes + _UNSURE, size, largest.bytes + _UNSURE, power, *most)

    def _most_targets(self, image: NetworkInput, first: Cost) -> tuple[int, float]:
        """A number of targets that shows in the memory, if there is one, and how many times as much it takes."""
        cost, targets, limit = first, 1, self._explainer.limits.max_targets
        while targets < limit and (cost.allows(2) or (targets < _FEW and 2 * cost.bytes <= _MOST_BYTES)):
            more = min(2 * targets, limit)
            tried = self._tried(image, more)
            if tried is None:
                break
            targets, cost = more, tried
            if cost.bytes > _SHOWS * first.bytes + _UNSURE:
                break
        return targets, max(1.0, (cost.bytes + _UNSURE) / (first.bytes + _UNSURE))

    @property
    def _is_open(self) -> bool:
        """Whether the graph takes images of any height and width."""
        spec = self._explainer.manifest.input
        shape = self._explainer.engine.inputs[spec.tensor.name].shape
        return not any(isinstance(shape[axis], int) for axis in spatial_axes(spec.layout))

    def _tried(self, image: NetworkInput, targets: int) -> Cost | None:
        """The cost of a run; None if the graph does not take it."""
        with suppress(CamgraphError):
            return self.cost(image, targets)
        return None

    def cost(self, image: NetworkInput, targets: int) -> Cost:
        """What a run for an image with so many targets takes."""
        self._run(self._sample, 1)  # gives back what the outputs of the run before took
        trim()
        before = _status("VmRSS")
        _CLEAR_REFS.write_text(_FORGET_PEAK, encoding="ascii")
        started = time.monotonic()
        self._run(image, targets)
        return Cost(max(0, _status("VmHWM") - before), time.monotonic() - started)

    def _run(self, image: NetworkInput, targets: int) -> None:
        explainer = self._explainer
        plan = explainer.fit(explainer.plan(Request(targets=[explainer.task.any_target()]), has_photo=False), image)
        plan = replace(
            plan, targets=plan.targets * targets, slots=plan.slots * targets, pairs=plan.pairs * targets
        )  # equal targets cost as much as different ones
        [inference] = explainer.infer([image], [plan], Stop())
        for explanation in explainer.finish(plan, image, inference).explanations:
            _ = explanation.heatmap


def enlarged(image: NetworkInput, explainer: AnyExplainer, times: int) -> NetworkInput:
    """An image of so many times the height and width."""
    repeats = [1] * image.tensor.ndim
    for axis in spatial_axes(explainer.manifest.input.layout):
        repeats[axis] = times
    return explainer.accept(np.tile(image.tensor, repeats))


def _status(name: str) -> int:
    """Bytes that the system says of this process."""
    for line in _STATUS.read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise OSError(f"{_STATUS} does not say {name}")
