"""Rows for activations."""

from typing import Any

import numpy as np

from exporter.op_cases.case import Input, OpCase, avoiding

_SHAPE = ("N", 3, 4, 5)


def _row(op_type: str, *kinks: float, name: str = "", opset: int = 17, **attributes: Any) -> OpCase:
    return OpCase(f"{op_type}{name}", op_type, [Input(_SHAPE, avoiding(*kinks))], attributes, opset=opset)


def _bounds(*numbers: float | None) -> list[np.ndarray | None]:
    return [None if number is None else np.array(number, dtype=np.float64) for number in numbers]


def _clip(name: str, *bounds: float | None, opset: int = 17) -> OpCase:
    kinks = [bound for bound in bounds if bound is not None]
    return OpCase(f"Clip-{name}", "Clip", [Input(_SHAPE, avoiding(*kinks)), *_bounds(*bounds)], opset=opset)


def _prelu(name: str, slope: tuple[int | str, ...], *, opset: int = 17) -> OpCase:
    return OpCase(f"PRelu-{name}", "PRelu", [Input(_SHAPE, avoiding(0)), Input(slope)], opset=opset)


CASES = [
    _row("Relu", 0),
    _row("Relu", 0, name="-13", opset=13),
    _row("LeakyRelu", 0),
    _row("LeakyRelu", 0, name="-alpha", alpha=0.2),
    _row("LeakyRelu", 0, name="-flat", alpha=0.0),
    _row("LeakyRelu", 0, name="-steep", alpha=1.5, opset=13),
    _row("LeakyRelu", 0, name="-negative-alpha", alpha=-0.3),
    _prelu("channels", (3, 1, 1)),
    _prelu("one", (1,)),
    _prelu("scalar", ()),
    _prelu("everywhere", (3, 4, 5), opset=13),
    _prelu("like-x", _SHAPE),
    OpCase("PRelu-constant", "PRelu", [Input(_SHAPE, avoiding(0)), np.array([0.25, -0.1, 2.0]).reshape(3, 1, 1)]),
    _row("Elu", 0),
    _row("Elu", 0, name="-alpha", alpha=0.5, opset=22),
    _row("Elu", 0, name="-negative-alpha", alpha=-0.5),
    _row("Selu", 0),
    _row("Selu", 0, name="-alpha-gamma", alpha=1.2, gamma=0.7, opset=22),
    _row("Celu", 0),
    _row("Celu", 0, name="-alpha", alpha=2.5),
    _row("ThresholdedRelu", 1),
    _row("ThresholdedRelu", 0.3, name="-alpha", alpha=0.3, opset=22),
    _row("ThresholdedRelu", -0.3, name="-negative-alpha", alpha=-0.3),
    _row("Shrink", -0.5, 0.5),
    _row("Shrink", -1.2, 1.2, name="-soft", lambd=1.2, bias=1.2),
    _row("Sigmoid"),
    _row("Sigmoid", name="-13", opset=13),
    _row("Tanh"),
    _row("Tanh", name="-13", opset=13),
    _row("HardSigmoid", -2.5, 2.5),
    _row("HardSigmoid", -2, 4, name="-alpha-beta", alpha=1 / 6, beta=1 / 3),
    _row("HardSigmoid", -2.5, 2.5, name="-22", opset=22),
    _row("HardSwish", -3, 3),
    _row("HardSwish", -3, 3, name="-14", opset=14),
    _row("HardSwish", -3, 3, name="-22", opset=22),
    _row("Swish", opset=24),
    _row("Swish", name="-alpha", alpha=1.7, opset=24),
    _row("Mish", opset=18),
    _row("Mish", name="-22", opset=22),
    _row("Gelu", opset=20),
    _row("Gelu", name="-tanh", approximate="tanh", opset=20),
    _row("Softplus"),
    _row("Softplus", name="-22", opset=22),
    _row("Softsign", 0),
    _row("Softsign", 0, name="-22", opset=22),
    _row("Erf"),
    _clip("6", 0, 1),
    _clip("min", -0.5),
    _clip("max", None, 0.5),
    _clip("none"),
    _clip("13", -1, 1, opset=13),
]
