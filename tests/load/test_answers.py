"""Which answers count as right in a load test, and which do not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from camgraph.v1 import explanation_pb2 as pb
from camgraph_load.mix import Call, fingerprint, judge

TENSOR = pb.Tensor(dtype="float32", shape=[2, 3], data=bytes(range(24)))


def answer() -> pb.ExplainResponse:
    outputs = [pb.Output(tensor=TENSOR), pb.Output(encoded=b"a picture")]
    response = pb.ExplainResponse(explanations=[pb.Explanation(outputs=outputs) for _ in range(2)])
    response.timings.queue_ms, response.timings.render_ms = 1.0, 6.0
    return response


def call(expected: tuple[bytes, ...] | None = None) -> Call:
    return Call("photo", b"", explanations=2, outputs=2, expected=expected)


def is_right(response: pb.ExplainResponse, expected: tuple[bytes, ...] | None = None) -> bool:
    return not judge(call(expected), response.SerializeToString()).wrong


SPOILT: dict[str, Callable[[Any], object]] = {
    "one explanation less": lambda response: response.explanations.pop(),
    "one output less": lambda response: response.explanations[1].outputs.pop(),
    "a map that is not finite": lambda response: setattr(response.explanations[1].statistics, "nonfinite", True),
    "a tensor without its end": lambda response: setattr(
        response.explanations[1].outputs[0].tensor, "data", TENSOR.data[:-1]
    ),
    "a tensor without a type": lambda response: response.explanations[0].outputs[0].tensor.ClearField("dtype"),
    "an empty picture": lambda response: setattr(response.explanations[0].outputs[1], "encoded", b""),
    "an output without a value": lambda response: response.explanations[0].outputs[0].Clear(),
}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
def test_an_answer_that_lacks_something_is_wrong(spoil):
    response = answer()
    assert is_right(response)
    spoil(response)
    assert not is_right(response)


def test_what_is_known_to_the_bit_must_be_equal_to_the_bit():
    response, known = answer(), fingerprint(answer())
    assert is_right(response, known)
    response.explanations[1].outputs[0].tensor.data = TENSOR.data[:-1] + b"\0"
    assert is_right(response)
    assert not is_right(response, known)


def test_what_is_not_an_answer_is_wrong():
    assert judge(call(), b"\xff").wrong
    assert judge(call(), answer().SerializeToString()).stages == (1.0, 0.0, 0.0, 0.0, 0.0, 6.0)
