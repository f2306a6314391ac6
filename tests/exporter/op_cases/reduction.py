"""Rows for reductions and running sums."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from exporter.op_cases.case import Draw, Input, OpCase, avoiding, distinct, normal, positive


def _reductions(op_type: str, draw: Draw = normal) -> list[OpCase]:
    as_input = 13 if op_type == "ReduceSum" else 18

    def row(
        name: str,
        axes: list[int] | None,
        *,
        opset: int,
        shape: Sequence[int | str] = ("N", 3, 4, 2),
        dynamic: bool = False,
        **attributes: Any,
    ) -> OpCase:
        inputs: list[Any] = [Input(shape, draw)]
        if axes is not None and opset >= as_input:
            inputs.append(np.array(axes, dtype=np.int64))
        elif axes is not None:
            attributes["axes"] = axes
        return OpCase(f"{op_type}-{name}", op_type, inputs, attributes, opset=opset, dynamic=dynamic)

    return [
        row("space", [2, 3], opset=17, keepdims=0),
        row("space-13", [-2, -1], opset=13),
        row("space-kept", [2, 3], opset=18, keepdims=1),
        row("negative-axis", [-1], opset=18, keepdims=0),
        row("unordered", [3, 1], opset=20, keepdims=0),
        row("channels", [1], opset=18, keepdims=1),
        row("batch", [0], opset=18, keepdims=0),
        row("all", None, opset=18, keepdims=0),
        row("all-attribute", None, opset=17),
        row("empty-axes-are-all", [], opset=18, keepdims=0, shape=("N", 4)),
        row("nothing", None, opset=18, noop_with_empty_axes=1),
        row("nothing-for-empty-axes", [], opset=18, noop_with_empty_axes=1, keepdims=0),
        row("noop-with-axes", [2], opset=18, noop_with_empty_axes=1),
        row("dynamic-size", [2, 3], opset=18, keepdims=0, dynamic=True),
    ]


def _mostly_zero(zeros: int) -> Draw:
    """Along the last axis, the first elements are zero."""

    def draw(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        x = rng.uniform(0.5, 2, shape)
        x[..., :zeros] = 0
        return x

    return draw


def _product_with_zeros(zeros: int) -> OpCase:
    return OpCase(f"ReduceProd-{zeros}-zeros", "ReduceProd", [Input(("N", 3, 4), _mostly_zero(zeros))], {"axes": [-1]})


def _running_sum(name: str, axis: Any, *, opset: int = 17, **attributes: int) -> OpCase:
    return OpCase(f"CumSum-{name}", "CumSum", [Input(("N", 3, 4, 2)), np.asarray(axis)], attributes, opset=opset)


CASES = [
    *_reductions("ReduceMean"),
    *_reductions("ReduceSum"),
    *_reductions("ReduceMax", distinct),
    *_reductions("ReduceMin", distinct),
    *_reductions("ReduceProd", avoiding(0, gap=0.5)),
    *_reductions("ReduceL1", avoiding(0)),
    *_reductions("ReduceL2", avoiding(0)),
    *_reductions("ReduceSumSquare"),
    *_reductions("ReduceLogSum", positive),
    *_reductions("ReduceLogSumExp"),
    _product_with_zeros(1),
    _running_sum("channels", np.int64(1)),
    _running_sum("exclusive", np.int64(2), exclusive=1),
    _running_sum("reverse", np.int32(-1), reverse=1),
    _running_sum("reverse-exclusive", np.int64(2), reverse=1, exclusive=1, opset=14),
    _running_sum("batch", np.int64(0), opset=13),
]
