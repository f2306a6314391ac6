"""A result, of an image or of a clip, and `camgraph.v1.ExplainResponse`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from camgraph.v1 import explanation_pb2 as pb
from camgraph_core.canvas import Canvas
from camgraph_core.clips import AnyExplanation, AnyResult, ClipExplanation, ClipResult, Taken
from camgraph_core.explanation import Explanation
from camgraph_core.outputs import DEFAULT_OUTPUTS, OUTPUTS
from camgraph_core.painter import Painter
from camgraph_core.request import Request
from camgraph_core.result import Result
from camgraph_core.shown import Shown
from camgraph_core.types import AnyArray, ByteArray
from camgraph_wire import enums
from camgraph_wire.arrays import array_from, tensor_message, tensor_parts
from camgraph_wire.frames import frame_from, frame_message, marked_from, marked_message
from camgraph_wire.regions import regions_from, regions_message
from camgraph_wire.scores import (
    score_from,
    score_message,
    statistics_from,
    statistics_message,
    timings_from,
    timings_message,
)
from camgraph_wire.shown import shown_message

Place: TypeAlias = tuple[int, int]
"""Where an output stands in a response: index of the explanation, index of the output in it."""

Data: TypeAlias = bytes | bytearray | memoryview


@dataclass(frozen=True)
class Photo:
    """What reads an image, or one frame, that was sent.

    Attributes:
        read: Gives the upright photo, uint8 [H, W, 3], RGB; None where a tensor was sent.
        shown: How bands are shown; None of grey and colour.
        read_missing: Gives where it has no data, of an image of bands.

    """

    read: Callable[[], ByteArray] | None = None
    shown: Shown | None = None
    read_missing: Callable[[], AnyArray | None] | None = None


def response_message(result: AnyResult, request: Request, apart: dict[Place, Data] | None = None) -> pb.ExplainResponse:
    """The message of a result, with the outputs that the request asks for; they are drawn here.

    Args:
        result: The result.
        request: What it answers.
        apart: Gets the data of the outputs, which are then left out of the message.

    Raises:
        AbsentOutputError: The result does not have one of them.

    """
    outputs = request.outputs or DEFAULT_OUTPUTS
    width, height = result.image_size
    canvases = result.canvases if isinstance(result, ClipResult) else []
    explanations: Sequence[AnyExplanation] = result.explanations
    return pb.ExplainResponse(
        model_name=result.model_name,
        model_version=result.model_version,
        predictions=map(score_message, result.predictions),
        explanations=[
            _explanation_message(explanation, outputs, number, apart) for number, explanation in enumerate(explanations)
        ],
        timings=timings_message(result.timings),
        request_id=result.request_id,
        warnings=result.warnings,
        image_width=width,
        image_height=height,
        frame=frame_message(result.canvas.frame),
        shown=None if result.canvas.shown is None or canvases else shown_message(result.canvas.shown),
        shown_frames=[shown_message(canvas.shown) for canvas in canvases if canvas.shown is not None],
        embedding=None if result.embedding is None else tensor_message(result.embedding),
    )


def result_from(
    message: pb.ExplainResponse,
    request: Request,
    *,
    photo: Photo,
    load_painter: Callable[[], Painter],
    apart: Mapping[Place, bytes | bytearray] | None = None,
) -> Result:
    """The result of a message.

    Args:
        message: What a server answered.
        request: What it was asked.
        photo: What reads what was sent.
        load_painter: Gives what draws.
        apart: The data of its outputs, where they came apart from it.

    """
    canvas = _canvas(message, request, photo, load_painter)
    return Result(
        predictions=[score_from(score) for score in message.predictions],
        explanations=[
            _explanation_from(explanation, canvas, _of_explanation(apart, number))
            for number, explanation in enumerate(message.explanations)
        ],
        canvas=canvas,
        timings=timings_from(message.timings),
        warnings=list(message.warnings),
        model_name=message.model_name,
        model_version=message.model_version,
        request_id=message.request_id,
        embedding=array_from(message.embedding) if message.HasField("embedding") else None,
    )


def clip_result_from(
    message: pb.ExplainResponse,
    request: Request,
    *,
    photos: Sequence[Photo],
    load_painter: Callable[[], Painter],
    taken: Taken,
    apart: Mapping[Place, bytes | bytearray] | None = None,
) -> ClipResult:
    """The result of a message about a clip.

    Args:
        message: What a server answered.
        request: What it was asked.
        photos: What reads each frame that was sent.
        load_painter: Gives what draws.
        taken: Which frames of the caller's clip they are.
        apart: The data of its outputs, where they came apart from it.

    """
    canvases = [_canvas(message, request, photo, load_painter) for photo in photos]
    return ClipResult(
        predictions=[score_from(score) for score in message.predictions],
        explanations=[
            ClipExplanation(
                **_said(explanation),
                canvases=canvases,
                taken=taken,
                given=_outputs_from(explanation, _of_explanation(apart, number)),
                complete=False,
            )
            for number, explanation in enumerate(message.explanations)
        ],
        canvases=canvases,
        taken=taken,
        timings=timings_from(message.timings),
        warnings=list(message.warnings),
        model_name=message.model_name,
        model_version=message.model_version,
        request_id=message.request_id,
        embedding=array_from(message.embedding) if message.HasField("embedding") else None,
    )


def _canvas(message: pb.ExplainResponse, request: Request, photo: Photo, load_painter: Callable[[], Painter]) -> Canvas:
    return Canvas(
        frame_from(message.frame),
        request.style,
        photo.read,
        load_painter,
        shown=photo.shown,
        read_missing=photo.read_missing,
    )


def _explanation_message(
    explanation: AnyExplanation, outputs: Sequence[str], number: int, apart: dict[Place, Data] | None
) -> pb.Explanation:
    has_own_scale = isinstance(explanation, Explanation) and explanation.has_own_scale
    wanted = filter(explanation.gives, outputs) if has_own_scale else outputs
    parts = [part for name in wanted for part in _output_parts(explanation, name)]
    for place, (message, data) in enumerate(parts):
        if apart is None:
            _attach(message, data)
        elif data is not None:
            apart[number, place] = data
    return pb.Explanation(
        target=score_message(explanation.target),
        contrast=score_message(explanation.contrast) if explanation.contrast is not None else None,
        statistics=statistics_message(explanation.statistics),
        outputs=[message for message, _ in parts],
        layers=explanation.layers,
        method=explanation.method,
        negative=explanation.negative,
        in_input_frame=explanation.in_input_frame,
        marked=marked_message(explanation.marked) if explanation.marked is not None else None,
        has_own_scale=has_own_scale,
    )


def _explanation_from(message: pb.Explanation, canvas: Canvas, apart: Mapping[int, bytes | bytearray]) -> Explanation:
    return Explanation(
        **_said(message),
        canvas=canvas,
        given=_outputs_from(message, apart),
        complete=False,
        marked=marked_from(message.marked) if message.HasField("marked") else None,
        has_own_scale=message.has_own_scale,
    )


def _said(message: pb.Explanation) -> dict[str, Any]:
    """What is said of a target, of images and of clips alike."""
    return {
        "target": score_from(message.target),
        "contrast": score_from(message.contrast) if message.HasField("contrast") else None,
        "negative": message.negative,
        "statistics": statistics_from(message.statistics),
        "layers": tuple(message.layers),
        "method": message.method,
        "in_input_frame": message.in_input_frame,
    }


def _output_parts(explanation: AnyExplanation, name: str) -> Iterator[tuple[pb.Output, Data | None]]:
    """One message without its data, and these; or one for each layer, or for each frame of a clip."""
    value = explanation.output(name)
    if OUTPUTS[name].per_layer:
        for layer, part in zip(explanation.layers, value, strict=True):
            yield _parts(name, part, layer=layer)
    elif isinstance(explanation, ClipExplanation) and isinstance(value, tuple):
        for frame, part in enumerate(value):
            yield _parts(name, part, frame=frame)
    else:
        yield _parts(name, value)


def _parts(name: str, value: Any, **place: Any) -> tuple[pb.Output, Data | None]:
    kind = enums.OUTPUTS.value(name)
    if isinstance(value, bytes):
        return pb.Output(kind=kind, encoded=b"", **place), value
    if name == "hot-regions":
        return pb.Output(kind=kind, regions=regions_message(value), **place), None
    tensor, data = tensor_parts(value)
    return pb.Output(kind=kind, tensor=tensor, **place), data


def _attach(message: pb.Output, data: Data | None) -> None:
    if data is not None and message.WhichOneof("value") == "encoded":
        message.encoded = bytes(data)
    elif data is not None:
        message.tensor.data = bytes(data)


def _of_explanation(apart: Mapping[Place, bytes | bytearray] | None, number: int) -> dict[int, bytes | bytearray]:
    return {output: data for (explanation, output), data in (apart or {}).items() if explanation == number}


def _outputs_from(message: pb.Explanation, apart: Mapping[int, bytes | bytearray]) -> dict[str, Any]:
    """The outputs that came, by name; those of a layer, or of a frame, as a tuple."""
    given: dict[str, Any] = {}
    for place, output in enumerate(message.outputs):
        name = enums.OUTPUTS.name(output.kind)
        value = _value_from(output, apart.get(place))
        is_one_of_several = OUTPUTS[name].per_layer or output.HasField("frame")
        given[name] = (*given.get(name, ()), value) if is_one_of_several else value
    return given


def _value_from(output: pb.Output, data: bytes | bytearray | None) -> Any:
    match output.WhichOneof("value"):
        case "encoded":
            return output.encoded if data is None else bytes(data)
        case "regions":
            return regions_from(output.regions)
    return array_from(output.tensor, data)
