"""A result arrives with all that was asked for, and with nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from camgraph.v1 import explanation_pb2 as pb
from camgraph_core.canvas import Canvas
from camgraph_core.explanation import Explanation
from camgraph_core.frame import Axis, Frame
from camgraph_core.outputs import OUTPUTS
from camgraph_core.painter import Painter
from camgraph_core.place import Mask
from camgraph_core.request import Request
from camgraph_core.result import Result
from camgraph_core.target import Target
from camgraph_wire.results import frame_from, frame_message, response_message, result_from
from support.compare import assert_equal, assert_same
from support.wire_values import COUNT, NUMBER, REGIONS, SCORES, STATISTICS, STYLES, TEXT, TIMINGS, arrays, over_the_wire

AXES = st.builds(Axis, COUNT, COUNT, NUMBER, NUMBER)
FRAMES = st.builds(Frame, AXES, AXES)
LAYERS = ("one", "two")


def no_painter() -> Painter:
    raise AssertionError("nothing is drawn on the way")


def value_of(draw: st.DrawFn, name: str) -> Any:
    if name == "hot-regions":
        return draw(REGIONS)
    if OUTPUTS[name].per_layer:
        return tuple(draw(arrays("float32", 2)) for _ in LAYERS)
    return draw(st.binary()) if name.endswith(("png", "jpeg")) else draw(arrays("float32", 2))


@st.composite
def explanations(draw: st.DrawFn, canvas: Canvas, outputs: list[str], mask: np.ndarray | None) -> Explanation:
    return Explanation(
        target=draw(SCORES),
        contrast=draw(st.none() | SCORES),
        negative=draw(st.booleans()),
        statistics=draw(STATISTICS),
        layers=LAYERS,
        method=draw(TEXT),
        in_input_frame=draw(st.booleans()),
        canvas=canvas,
        given={name: value_of(draw, name) for name in outputs},
        complete=True,
        mask=mask,
    )


@st.composite
def answers(draw: st.DrawFn) -> tuple[Request, Result]:
    outputs = draw(st.lists(st.sampled_from(list(OUTPUTS)), min_size=1, max_size=5, unique=True))
    mask = Mask(draw(arrays("uint8", 2)))
    targets, top_k = [Target(place=mask), Target()], draw(st.integers(0, 2))
    request = Request(targets=targets, top_k=top_k, outputs=outputs, style=draw(STYLES))
    canvas = Canvas(draw(FRAMES), request.style, None, no_painter)
    masks = [mask.array, *[None] * (1 + top_k)]
    result = Result(
        predictions=draw(st.lists(SCORES, max_size=3)),
        explanations=[draw(explanations(canvas, outputs, item)) for item in masks],
        canvas=canvas,
        timings=draw(TIMINGS),
        warnings=draw(st.lists(TEXT, max_size=2)),
        model_name=draw(TEXT),
        model_version=draw(TEXT),
        request_id=draw(TEXT),
    )
    return request, result


@given(answers())
def test_results(answer: tuple[Request, Result]) -> None:
    request, result = answer
    message = over_the_wire(response_message(result, request))
    got = result_from(message, request, read_photo=None, load_painter=no_painter)
    assert_same(got, result, request.outputs)
    for field in ("timings", "model_name", "model_version"):
        assert getattr(got, field) == getattr(result, field)
    assert_equal([item.given.keys() for item in got.explanations], [item.given.keys() for item in result.explanations])


@given(FRAMES)
def test_frames(frame: Frame) -> None:
    assert frame_from(over_the_wire(frame_message(frame))) == frame


def test_an_answer_without_anything_is_a_result() -> None:
    empty = result_from(pb.ExplainResponse(), Request(), read_photo=None, load_painter=no_painter)
    assert empty.explanations == []
    assert empty.predictions == []
