"""Gradients at the points that finite differences cannot judge: kinks, ties, zeros, saturation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from camgraph_runtime.run.engine import Engine
from exporter import vjp_harness as harness
from exporter.op_cases.case import Input, OpCase


@dataclass(frozen=True)
class Special:
    """One node at given inputs, with the gradients of the sum of its outputs by all inputs but the `constants`."""

    op_type: str
    inputs: Sequence[Any]
    expected: Sequence[Any]
    attributes: dict[str, Any] = field(default_factory=dict)
    constants: Sequence[np.ndarray | None] = ()
    opset: int = 22
    without_onnxruntime: str = ""

    def __str__(self) -> str:
        return f"{self.op_type}-{'-'.join(str(np.asarray(x).tolist()) for x in self.inputs)}"

    def arrays(self) -> list[np.ndarray]:
        return [np.asarray(x, dtype=np.float64) for x in self.inputs]

    def case(self) -> OpCase:
        inputs = [Input(x.shape, lambda _rng, _shape, x=x: x) for x in self.arrays()]
        return OpCase(str(self), self.op_type, [*inputs, *self.constants], self.attributes, opset=self.opset)


def _at_zero(op_type: str, expected: float, **attributes: float) -> Special:
    return Special(op_type, [[0.0]], [[expected]], attributes)


def _far_out(op_type: str, left: float, right: float, *, opset: int = 22, **attributes: Any) -> Special:
    return Special(op_type, [[-1e4, 1e4]], [[left, right]], attributes, opset=opset)


_BOUNDS = (np.array(0.0), np.array(6.0))
_LAST = np.array([-1])

CASES = [
    _at_zero("Relu", 0),
    _at_zero("LeakyRelu", 0.25, alpha=0.25),
    _at_zero("Elu", 0.5, alpha=0.5),
    _at_zero("Celu", 1, alpha=0.5),
    _at_zero("Abs", 0),
    _at_zero("Softsign", 1),
    Special("PRelu", [[0.0], [0.25]], [[0.25], [0.0]]),
    Special("Clip", [[0.0, 3.0, 6.0]], [[0, 1, 0]], constants=_BOUNDS),
    Special("ThresholdedRelu", [[1.0]], [[0]]),
    Special("HardSwish", [[-3.0, 3.0]], [[0, 1]]),
    _far_out("Sigmoid", 0, 0),
    _far_out("Tanh", 0, 0),
    _far_out("Softplus", 0, 1),
    _far_out("Elu", 0, 1),
    _far_out("Mish", 0, 1),
    _far_out("Gelu", 0, 1),
    _far_out("Gelu", 0, 1, approximate="tanh"),
    _far_out("Swish", 0, 1, opset=24),
    _far_out("Erf", 0, 0),
    Special("Max", [[1.0, 2.0], [1.0, 1.0]], [[0.5, 1], [0.5, 0]]),
    Special("Min", [[1.0], [1.0], [1.0], [2.0]], [[1 / 3], [1 / 3], [1 / 3], [0]]),
    Special("Max", [[0.0, -1.0]], [[0.5, 0]], constants=(np.array(0.0),)),
    Special("Pow", [[0.0, 0.0, 0.0]], [[0, 1, 0]], constants=(np.array([0.0, 1.0, 2.0]),)),
    Special("Pow", [[0.0, 0.0], [2.0, 0.0]], [[0, 0], [0, 0]]),
    Special("ReduceMax", [[3.0, 3.0, 1.0]], [[0.5, 0.5, 0]], constants=(_LAST,)),
    Special("ReduceMin", [[2.0, 2.0]], [[0.5, 0.5]]),
    Special("ReduceProd", [[2.0, 0.0, 3.0]], [[0, 6, 0]]),
    Special("ReduceProd", [[2.0, 0.0, 0.0]], [[0, 0, 0]]),
    Special("ReduceL1", [[0.0, -2.0]], [[0, -1]]),
    Special("ReduceL2", [[0.0, 0.0]], [[0, 0]]),
    Special("GlobalLpPool", [[[[0.0, 0.0]]]], [[[[0, 0]]]], opset=17),
    Special("LpNormalization", [[0.0, 0.0]], [[0, 0]]),
    Special("LpNormalization", [[0.0, 0.0]], [[0, 0]], {"p": 1}),
    Special(
        "MeanVarianceNormalization",
        [[2.0, 2.0]],
        [[0, 0]],
        {"axes": [0]},
        without_onnxruntime="The CPU kernel leaves the epsilon out: its output is not a number.",
    ),
    Special("LayerNormalization", [[[2.0, 2.0]]], [[[0, 0]]], constants=(np.array(1.0),)),
]


@pytest.mark.parametrize("special", CASES, ids=str)
def test_gradient_is_the_documented_one(special: Special) -> None:
    """In float64, and in float32 where onnxruntime evaluates the same graph."""
    case = special.case()
    feeds = {f"x{i}": x for i, x in enumerate(special.arrays())}
    feeds["seed0"] = np.ones((1, *harness.forward(case, feeds)[0].shape))
    exact = harness.gradients(harness.gradient_model(case, np.float64), feeds)
    _assert_gradients(exact, special, tolerance=1e-9)
    if not special.without_onnxruntime:
        engine = Engine(harness.gradient_model(case, np.float32).model.SerializeToString())
        _assert_gradients(engine.run(harness.in_precision(feeds, np.float32)), special, tolerance=1e-6)


def _assert_gradients(found: Mapping[str, np.ndarray], special: Special, *, tolerance: float) -> None:
    for i, expected in enumerate(special.expected):
        np.testing.assert_allclose(found[f"dx{i}"][0], expected, atol=tolerance)
