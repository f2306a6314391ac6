"""Rows for activations."""

import numpy as np

from exporter.op_cases.case import Input, OpCase, avoiding

_SHAPE = ("N", 3, 4, 5)


def _row(op_type: str, *kinks: float, name: str = "", **attributes: float) -> OpCase:
    return OpCase(f"{op_type}{name}", op_type, [Input(_SHAPE, avoiding(*kinks))], attributes)


def _bounds(*numbers: float | None) -> list[np.ndarray | None]:
    return [None if number is None else np.array(number, dtype=np.float64) for number in numbers]


CASES = [
    _row("Relu", 0),
    _row("Sigmoid"),
    _row("Tanh"),
    _row("HardSigmoid", -2.5, 2.5),
    _row("HardSigmoid", -2, 4, name="-alpha-beta", alpha=1 / 6, beta=1 / 3),
    _row("HardSwish", -3, 3),
    OpCase("Clip-6", "Clip", [Input(_SHAPE, avoiding(0, 1)), *_bounds(0, 1)]),
    OpCase("Clip-min", "Clip", [Input(_SHAPE, avoiding(-0.5)), *_bounds(-0.5)]),
    OpCase("Clip-max", "Clip", [Input(_SHAPE, avoiding(0.5)), *_bounds(None, 0.5)]),
    OpCase("Clip-none", "Clip", [Input(_SHAPE)]),
]
