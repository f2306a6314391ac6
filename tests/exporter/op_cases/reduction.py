"""Rows for reductions."""

from typing import Any

import numpy as np

from exporter.op_cases.case import Draw, Input, OpCase, normal


def _reductions(op_type: str, draw: Draw = normal) -> list[OpCase]:
    as_input = 13 if op_type == "ReduceSum" else 18

    def row(name: str, axes: list[int] | None, *, opset: int, **attributes: Any) -> OpCase:
        inputs: list[Any] = [Input(("N", 3, 4, 2), draw)]
        if axes is not None and opset >= as_input:
            inputs.append(np.array(axes, dtype=np.int64))
        elif axes is not None:
            attributes["axes"] = axes
        return OpCase(f"{op_type}-{name}", op_type, inputs, attributes, opset=opset)

    return [
        row("space", [2, 3], opset=17, keepdims=0),
        row("space-kept", [2, 3], opset=18, keepdims=1),
        row("negative-axis", [-1], opset=18, keepdims=0),
        row("channels", [1], opset=18, keepdims=1),
        row("all", None, opset=18, keepdims=0),
        row("nothing", None, opset=18, noop_with_empty_axes=1),
    ]


CASES = [*_reductions("ReduceMean"), *_reductions("ReduceSum")]
