"""The work of one request for a graph's own outputs on a worker thread: tensors in, tensors out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from camgraph_core.errors import TooLargeError
from camgraph_core.types import AnyArray
from camgraph_runtime.run.stop import Stop
from camgraph_runtime.tensors import run_feeds, tensor_feeds
from camgraph_server.call import Call
from camgraph_server.config.limits import MIB
from camgraph_server.models.explaining import Room
from camgraph_server.models.model import Model
from camgraph_server.models.runs import memory_for_run


@dataclass(frozen=True)
class TensorRequest:
    """What a caller asks of a graph.

    Attributes:
        model: Name of the model in the repository.
        version: Its version; empty means the newest.
        inputs: The graph's inputs by name.
        outputs: Names of the outputs that are wanted; all without any.
        request_id: Is written to the log.
    """

    model: str
    version: str
    inputs: Mapping[str, AnyArray]
    outputs: tuple[str, ...] = ()
    request_id: str = ""


@dataclass(frozen=True)
class TensorResult:
    """The outputs of a graph.

    Attributes:
        version: Version of the model that ran.
        outputs: The outputs by name, in the order that they were asked for.
    """

    version: str
    outputs: Mapping[str, AnyArray]


def run_tensors(
    model: Model, request: TensorRequest, room: Room, call: Call, stop: Stop, waited: float
) -> TensorResult:
    """Runs the graph of a model once.

    Args:
        model: The model.
        request: Its inputs and what is wanted.
        room: What the request may take.
        call: Whose answer holds the memory of the outputs.
        stop: Ends the run.
        waited: Seconds that it waited for a worker.

    Raises:
        InvalidInputError: An input is missing, unknown or does not fit, or asks for more targets than are allowed.
        UsageError: An output does not exist.
        TooLargeError: The answer would be too large.
        StoppedError: `stop` ended the run.
    """
    call.queue_ms = waited * 1e3
    call.enter("prepare")
    with model.lent() as explainer:
        inputs = tensor_feeds(explainer, request.inputs, request.outputs)
        with room.pictures.lent_to_thread(sum(array.nbytes for array in inputs.values()), stop):
            image, targets = explainer.image_in(inputs), explainer.targets_in(inputs)
            with memory_for_run(explainer, image.shape, image.size, targets, room.runs, stop):
                stop.check()
                call.enter("infer")
                outputs = run_feeds(explainer, inputs, request.outputs, stop)
                call.enter("post")
                call.inference_ms = (call.timeline[-1][1] - call.timeline[-2][1]) * 1e3
                _hold(outputs, room, call)
    return TensorResult(model.version, outputs)


def _hold(outputs: Mapping[str, AnyArray], room: Room, call: Call) -> None:
    """Counts the memory of the outputs."""
    size = sum(array.nbytes for array in outputs.values())
    if size > room.max_answer:
        raise TooLargeError(
            f"The outputs take {size / MIB:.0f} MiB, more than the limit of {room.max_answer / MIB:.0f} MiB; "
            "ask for fewer outputs or targets."
        )
    call.answer.grow(room.copies * size)
