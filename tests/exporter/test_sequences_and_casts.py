"""Lists of tensors and casts by example: rewritten before differentiation, with the same results."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from camgraph_exporter import export
from camgraph_exporter.prepare.prepare import prepare
from camgraph_runtime.run.engine import Engine
from support.nets import Net, trunk

SHAPE = ("N", 3, 16, 16)


def _scores(net: Net, maps: str) -> str:
    return net.node("ReduceMean", maps, axes=[2, 3], keepdims=0)


def _split(net: Net, *split: str, places: tuple[int, ...], **attributes: int) -> list[str]:
    pieces = net.node("SplitToSequence", trunk(net, net.image(SHAPE)), *split, axis=1, **attributes)
    return [net.node("SequenceAt", pieces, net.weight(np.int64(place))) for place in places]


def _chunks(net: Net) -> str:
    first, last = _split(net, net.weight(np.int64(8)), places=(0, -1))
    return net.node("Concat", net.node("Sigmoid", first), last, axis=1)


def _rest(net: Net) -> str:
    whole, rest = _split(net, net.weight(np.int64(12)), places=(0, 1))
    return net.node("Concat", net.node("Tanh", rest), whole, axis=1)


def _sizes(net: Net) -> str:
    return net.node("Exp", _split(net, net.ints(5, 4, 7), places=(1,))[0])


def _unbound(net: Net) -> str:
    first, second = _split(net, places=(3, 0), keepdims=0)
    return net.node("Concat", *(net.node("Unsqueeze", x, net.ints(1)) for x in (first, second)), axis=1)


@pytest.mark.parametrize("build", [_chunks, _rest, _sizes, _unbound])
def test_a_list_that_is_read_at_fixed_places_is_a_split(build: Callable[[Net], str]) -> None:
    net = Net()
    model = net.model(_scores(net, build(net)))
    prepared = prepare(ir.from_proto(model)).model
    operators = {node.op_type for node in prepared.graph}
    assert "Split" in operators
    assert not operators & {"SplitToSequence", "SequenceAt"}
    _same_outputs(model, ir.to_proto(prepared))
    # The certificate compares the gradient with finite differences.
    exported = export(model)
    assert exported.manifest.certificate.passed


def test_a_list_that_is_read_as_the_image_says_stays_as_it_is() -> None:
    net = Net()
    maps = trunk(net, net.image(SHAPE))
    place = net.node("ArgMax", net.node("ReduceMean", maps, axes=[0, 2, 3], keepdims=0), axis=0, keepdims=0)
    pieces = net.node("SplitToSequence", maps, net.weight(np.int64(1)), axis=1)
    model = net.model(_scores(net, net.node("SequenceAt", pieces, place)))
    assert "SplitToSequence" in {node.op_type for node in prepare(ir.from_proto(model)).graph}


def test_a_cast_by_example_does_not_depend_on_the_example() -> None:
    net = Net()
    maps = trunk(net, net.image(SHAPE))
    scale = net.node("CastLike", net.weight(np.full((1, 16, 1, 1), 2, dtype=np.float64)), maps)
    model = net.model(_scores(net, net.node("Mul", maps, scale)))
    prepared = prepare(ir.from_proto(model)).model
    assert "CastLike" not in {node.op_type for node in prepared.graph}
    _same_outputs(model, ir.to_proto(prepared))


def _same_outputs(before: onnx.ModelProto, after: onnx.ModelProto) -> None:
    x = np.random.default_rng(0).standard_normal((2, 3, 16, 16)).astype(np.float32)
    results = [Engine(model.SerializeToString()).run({"image": x}) for model in (before, after)]
    for name, array in results[0].items():
        np.testing.assert_array_equal(results[1][name], array)
