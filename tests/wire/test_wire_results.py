"""A result arrives with all that was asked for, and with nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from camgraph.v1 import explanation_pb2 as pb
from camgraph_core.canvas import Canvas
from camgraph_core.clips import ClipExplanation, ClipResult, Taken
from camgraph_core.errors import InvalidInputError
from camgraph_core.explanation import Explanation
from camgraph_core.frame import Axis, Frame
from camgraph_core.marked import Marked
from camgraph_core.outputs import OUTPUTS
from camgraph_core.painter import Painter
from camgraph_core.request import Request
from camgraph_core.result import Result
from camgraph_core.target import Target
from camgraph_wire.frames import frame_from, frame_message, marked_from, marked_message
from camgraph_wire.results import Photo, clip_result_from, response_message, result_from
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
def marked_cells(draw: st.DrawFn) -> Marked:
    cells = draw(arrays("uint8", 2)) % 2 == 1
    axes = [draw(st.builds(Axis, COUNT, st.just(length), NUMBER, NUMBER)) for length in cells.shape]
    return Marked(cells, Frame(*axes))


@st.composite
def explanations(draw: st.DrawFn, canvas: Canvas, outputs: list[str], marked: Marked | None) -> Explanation:
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
        marked=marked,
    )


@st.composite
def answers(draw: st.DrawFn) -> tuple[Request, Result]:
    outputs = draw(st.lists(st.sampled_from(list(OUTPUTS)), min_size=1, max_size=5, unique=True))
    targets, top_k = [Target(), Target()], draw(st.integers(0, 2))
    request = Request(targets=targets, top_k=top_k, outputs=outputs, style=draw(STYLES))
    canvas = Canvas(draw(FRAMES), request.style, None, no_painter)
    marks = [draw(marked_cells()), *[None] * (1 + top_k)]
    result = Result(
        predictions=draw(st.lists(SCORES, max_size=3)),
        explanations=[draw(explanations(canvas, outputs, item)) for item in marks],
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
    got = result_from(message, request, photo=Photo(), load_painter=no_painter)
    assert_same(got, result, request.outputs)
    for field in ("timings", "model_name", "model_version"):
        assert getattr(got, field) == getattr(result, field)
    assert_equal([item.given.keys() for item in got.explanations], [item.given.keys() for item in result.explanations])


def value_of_clip(draw: st.DrawFn, name: str, frames: int) -> Any:
    """Arrays have time in them; pictures and regions come once for each frame."""
    if OUTPUTS[name].per_layer or not (name == "hot-regions" or name.endswith(("png", "jpeg"))):
        return value_of(draw, name)
    return tuple(value_of(draw, name) for _ in range(frames))


@st.composite
def clip_answers(draw: st.DrawFn) -> tuple[Request, ClipResult]:
    outputs = draw(st.lists(st.sampled_from(list(OUTPUTS)), min_size=1, max_size=5, unique=True))
    request, count = Request(outputs=outputs, style=draw(STYLES)), draw(st.integers(1, 3))
    taken, canvases = Taken(range(count)), [Canvas(draw(FRAMES), request.style, None, no_painter)] * count
    explanations = [
        ClipExplanation(
            target=draw(SCORES),
            contrast=draw(st.none() | SCORES),
            negative=draw(st.booleans()),
            statistics=draw(STATISTICS),
            layers=LAYERS,
            method=draw(TEXT),
            canvases=canvases,
            taken=taken,
            given={name: value_of_clip(draw, name, count) for name in outputs},
            complete=False,
        )
        for _ in range(2)
    ]
    return request, ClipResult(
        draw(st.lists(SCORES, max_size=3)), explanations, canvases, taken, draw(TIMINGS), draw(st.lists(TEXT)),
        draw(TEXT), draw(TEXT), draw(TEXT), draw(st.none() | arrays("float32", 1)),
    )  # fmt: skip  # in the order of its fields


@given(clip_answers())
def test_results_of_clips(answer: tuple[Request, ClipResult]) -> None:
    request, result = answer
    message = over_the_wire(response_message(result, request))
    photos = [Photo()] * len(result.canvases)
    got = clip_result_from(message, request, photos=photos, load_painter=no_painter, taken=result.taken)
    assert_same(got, result, request.outputs)
    assert_equal(got.embedding, result.embedding)
    for field in ("timings", "model_name", "model_version"):
        assert getattr(got, field) == getattr(result, field)


@given(FRAMES)
def test_frames(frame: Frame) -> None:
    assert frame_from(over_the_wire(frame_message(frame))) == frame


def test_cells_that_are_not_as_many_as_it_says_are_refused() -> None:
    message = marked_message(Marked(np.ones((3, 5), bool), Frame(Axis(6, 3), Axis(10, 5))))
    for change in ({"rows": 9}, {"bits": b"x"}, {"rows": 2**32 - 1, "columns": 2**32 - 1}):
        wrong = pb.MarkedCells.FromString(message.SerializeToString())
        for name, value in change.items():
            setattr(wrong, name, value)
        with pytest.raises(InvalidInputError, match="The marked cells of an explanation are not"):
            marked_from(wrong)


def test_an_answer_without_anything_is_a_result() -> None:
    empty = result_from(pb.ExplainResponse(), Request(), photo=Photo(), load_painter=no_painter)
    assert empty.explanations == []
    assert empty.predictions == []
