"""Rows for operators that move elements."""

from typing import Any

import numpy as np

from exporter.op_cases.case import Input, OpCase


def _i(*numbers: int) -> np.ndarray:
    return np.array(numbers, dtype=np.int64)


def _row(name: str, op_type: str, shape: tuple[int | str, ...], *more: Any, **attributes: Any) -> OpCase:
    return OpCase(f"{op_type}-{name}", op_type, [Input(shape), *more], attributes)


CASES = [
    _row("any", "Identity", ("N", 3, 4)),
    _row("inference", "Dropout", ("N", 3, 4)),
    _row("flatten", "Reshape", ("N", 3, 4, 2), _i(0, -1)),
    _row("split-axis", "Reshape", ("N", 6, 4), _i(0, 2, 3, 4)),
    _row("join-and-split", "Reshape", ("N", 4, 6), _i(0, 3, 8)),
    _row("into-batch", "Reshape", ("N", 4, 6), _i(-1, 6)),
    _row("default", "Flatten", ("N", 3, 4, 2)),
    _row("axis-2", "Flatten", ("N", 3, 4, 2), axis=2),
    _row("axis-0", "Flatten", ("N", 3, 4, 2), axis=0),
    _row("axes", "Squeeze", ("N", 3, 1, 1), _i(2, -1)),
    _row("all", "Squeeze", (3, 1, 2, 1)),
    _row("axes", "Unsqueeze", ("N", 3), _i(2, -1)),
    _row("reverse", "Transpose", ("N", 3, 4)),
    _row("to-channels-last", "Transpose", ("N", 3, 4, 2), perm=[0, 2, 3, 1]),
    _row("cycle", "Transpose", ("N", 3, 4, 2), perm=[2, 0, 3, 1]),
    OpCase(
        "Concat-channels", "Concat", [Input(("N", 3, 4)), Input(("N", 2, 4)), Input(("N", 1, 4))], {"axis": 1}
    ),
    OpCase("Concat-negative-axis", "Concat", [Input(("N", 3, 4)), Input(("N", 3, 2))], {"axis": -1}),
    OpCase("Concat-one", "Concat", [Input(("N", 3, 4))], {"axis": 1}),
    OpCase("Split-sizes", "Split", [Input(("N", 6, 2)), _i(1, 2, 3)], {"axis": 1}, outputs=3, used=(0, 1, 2)),
    OpCase("Split-one-used", "Split", [Input(("N", 6, 2)), _i(1, 2, 3)], {"axis": 1}, outputs=3, used=(1,)),
    OpCase("Split-even", "Split", [Input(("N", 6, 2))], {"axis": 1}, outputs=2, used=(0, 1), opset=13),
    _row("middle", "Slice", ("N", 6, 5), _i(1, 2), _i(4, 5), _i(1, 2)),
    _row("negative-bounds", "Slice", ("N", 6, 5), _i(-4), _i(-1), _i(1)),
    _row("step-2", "Slice", ("N", 6, 7), _i(0, 1), _i(6, 7), _i(1, 2), _i(2, 3)),
    _row("beyond-the-end", "Slice", ("N", 6, 5), _i(2), _i(2**40), _i(-1)),
    _row("reversed", "Slice", ("N", 6, 5), _i(-1), _i(-(2**40)), _i(1), _i(-1)),
    _row("reversed-step-2", "Slice", ("N", 7, 5), _i(5), _i(0), _i(1), _i(-2)),
    _row("step-2-on-space", "Slice", ("N", 3, 6, 7), _i(0, 0), _i(2**40, 2**40), _i(2, 3), _i(2, 2)),
    _row("all-axes", "Slice", (4, 6, 5), _i(0, 1, 0), _i(3, 4, 5)),
    _row("constant", "Pad", ("N", 3, 4), _i(0, 1, 2, 0, 0, 3)),
    _row("constant-value", "Pad", ("N", 3, 4), _i(0, 1, 2, 0, 0, 3), np.array(1.5)),
    _row("cropping", "Pad", ("N", 3, 6), _i(0, 0, -1, 0, 1, -2)),
    OpCase("Pad-axes", "Pad", [Input(("N", 3, 4)), _i(1, 2), None, _i(2)], opset=18),
    _row("nothing", "Pad", ("N", 3, 4), _i(0, 0, 0, 0, 0, 0)),
]
