"""Rows for element-wise arithmetic, with every kind of broadcasting."""

import numpy as np

from exporter.op_cases.case import Draw, Input, OpCase, normal, positive

_BROADCASTS: dict[str, tuple[tuple[int | str, ...], tuple[int | str, ...]]] = {
    "equal": (("N", 3, 4), ("N", 3, 4)),
    "scalar": (("N", 3, 4), ()),
    "one-element": (("N", 3, 4), (1,)),
    "leading-ones": (("N", 3, 4), (1, 1, 4)),
    "trailing-ones": (("N", 3, 4), ("N", 3, 1)),
    "inner-ones": (("N", 3, 4, 2), ("N", 1, 4, 1)),
    "rank-1-less": (("N", 3, 4), (3, 4)),
    "rank-2-less": (("N", 3, 4), (4,)),
    "both-sides": (("N", 1, 4), (1, 3, 1)),
    "first-is-smaller": ((4,), ("N", 3, 4)),
}


def _rows(op_type: str, a: Draw = normal, b: Draw = normal) -> list[OpCase]:
    return [
        OpCase(f"{op_type}-{name}", op_type, [Input(x, a), Input(y, b)])
        for name, (x, y) in _BROADCASTS.items()
    ]


CASES = [
    *_rows("Add"),
    *_rows("Sub"),
    *_rows("Mul"),
    *_rows("Div", b=positive),
    OpCase("Mul-constant", "Mul", [Input(("N", 3, 4)), np.array([1.5, -2.0, 0.5, 3.0])]),
    OpCase("Mul-square", "Mul", [Input(("N", 3, 4)), Input(("N", 3, 4))]),
]
