"""The work of one request on a worker thread: from an image or a clip to the outputs that were asked for."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from camgraph_core.clips import AnyExplanation, AnyResult, ClipExplanation, of_all_frames
from camgraph_core.errors import TooLargeError
from camgraph_core.outputs import DEFAULT_OUTPUTS
from camgraph_core.regions import HotRegion
from camgraph_core.request import Addressed
from camgraph_runtime.answer_size import check_answer_size
from camgraph_runtime.explainers import AnyExplainer
from camgraph_runtime.network_input import NetworkInput
from camgraph_runtime.plan import Plan
from camgraph_runtime.run.stop import Stop
from camgraph_server.budget import Budget
from camgraph_server.call import Call
from camgraph_server.config.limits import MIB
from camgraph_server.models.model import Model
from camgraph_server.models.runs import memory_for_run
from camgraph_server.models.subjects import check_subject, memory_of, network_input_of
from camgraph_server.observe.observers import Explained, Observers

COPIES = 3
"""Of an answer while it is encoded: ours, the message's, and its bytes."""

_REGION_BYTES = 128  # of a hot region: eight numbers of 8 bytes, and what the message adds


@dataclass(frozen=True)
class Room:
    """What requests may take.

    Attributes:
        pictures: Memory for the images that are worked on, all together.
        runs: Memory for the runs of graphs that take more than is counted with their models, all together.
        max_answer: Most bytes of one answer.
        max_drawn: Most pixels that are drawn for one request.
        max_in_chunks: Most bytes of one answer that is written in pieces.
        copies: Of an answer while it is written.
    """

    pictures: Budget
    runs: Budget
    max_answer: int
    max_drawn: int
    max_in_chunks: int
    copies: int = COPIES

    def of(self, call: Call) -> Room:
        """What this call may take."""
        return replace(self, max_answer=self.max_in_chunks, copies=1) if call.in_chunks else self


def explain(
    model: Model, addressed: Addressed, room: Room, observers: Observers, call: Call, stop: Stop, waited: float
) -> AnyResult:
    """Answers one request; the result has the outputs that were asked for, and those alone.

    Args:
        model: The model.
        addressed: What to explain.
        room: What it may take.
        observers: Are told of the result.
        call: Whose answer holds the memory of what is drawn.
        stop: Ends the work between two steps, and a run of the graph.
        waited: Seconds that it waited for a worker.

    Raises:
        CamgraphError: The image, a target or an option cannot be used, the graph lacks what was asked for, or the
            request takes too much.
        StoppedError: `stop` ended the work.
    """
    with model.lent() as explainer:
        result = _explained(explainer, addressed, room.of(call), call, stop, waited)
        result = replace(result, model_name=model.name, model_version=model.version)
        observers.explained(call, Explained(explainer, addressed, result))
    return result


def _explained(
    explainer: AnyExplainer, addressed: Addressed, room: Room, call: Call, stop: Stop, waited: float
) -> AnyResult:
    call.enter("prepare")
    call.queue_ms = waited * 1e3
    check_subject(explainer, addressed)
    plan = explainer.plan(addressed.request, has_photo=addressed.has_photo)
    with room.pictures.lent_to_thread(memory_of(explainer, addressed, room.pictures.size), stop):
        stop.check()
        network_input = network_input_of(explainer, addressed, stop)
        check_answer_size(network_input, plan, max_bytes=room.max_answer, max_drawn=room.max_drawn)
        tensor, targets = network_input.tensor, max(len(plan.slots), len(plan.targets))
        elements = (explainer.batch_size or 1) * tensor.size
        with memory_for_run(explainer, tensor.shape, elements, targets, room.runs, stop):
            return _run(explainer, plan, network_input, room, call, stop)


def _run(
    explainer: AnyExplainer, plan: Plan, network_input: NetworkInput, room: Room, call: Call, stop: Stop
) -> AnyResult:
    """The result of a run with what was drawn of it; nothing else of the run is held after it."""
    plan = explainer.fit(plan, network_input, stop)
    call.enter("infer")
    [inference] = explainer.infer([network_input], [plan], stop)
    call.enter("post")
    call.inference_ms, call.batch_size = inference.inference_ms, inference.batch_size
    stop.check()
    result = explainer.finish(plan, network_input, inference)
    started = time.perf_counter()
    drawing = _Drawing(plan.request.outputs or DEFAULT_OUTPUTS, room, call, stop)
    explanations = [drawing.drawn(explanation) for explanation in result.explanations]
    render_ms = (time.perf_counter() - started) * 1e3
    timings = replace(result.timings, queue_ms=call.queue_ms or 0.0, render_ms=render_ms, total_ms=call.elapsed_ms)
    return cast("AnyResult", replace(cast("Any", result), explanations=explanations, timings=timings))


class _Drawing:
    """Draws the outputs of one request one by one, as long as there is memory and somebody waits."""

    def __init__(self, outputs: Sequence[str], room: Room, call: Call, stop: Stop) -> None:
        self._outputs, self._room, self._call, self._stop = outputs, room, call, stop
        self._total = 0

    def drawn(self, item: AnyExplanation) -> AnyExplanation:
        """The explanation with these outputs, as far as it has them, and without what they could be drawn from."""
        names = filter(item.gives, self._outputs)
        return replace(item, given={name: self._output(item, name) for name in names}, complete=False)

    def _output(self, item: AnyExplanation, name: str) -> Any:
        """The output of an image; or of a clip, which is drawn frame by frame."""
        if isinstance(item, ClipExplanation) and name not in item.given:
            return of_all_frames([self._held(frame, name) for frame in item.frames])
        return self._held(item, name)

    def _held(self, explanation: AnyExplanation, name: str) -> Any:
        """One output, with the memory that it takes."""
        self._stop.check()
        value = explanation.output(name)
        size = _size(value)
        self._total += size
        if self._total > self._room.max_answer:
            raise TooLargeError(
                f"The answer takes more than the limit of {self._room.max_answer / MIB:.0f} MiB; ask for fewer "
                "targets, or for pictures instead of arrays."
            )
        self._call.answer.grow(self._room.copies * size)
        return value


def _size(value: Any) -> int:
    """Bytes of an output: a picture, an array, a hot region, or a tuple of such."""
    if isinstance(value, tuple):
        return sum(map(_size, value))
    if isinstance(value, HotRegion):
        return _REGION_BYTES
    return len(value) if isinstance(value, bytes) else int(value.nbytes)
