"""Rows for element-wise arithmetic, with every kind of broadcasting."""

from typing import Any

import numpy as np

from exporter.op_cases.case import Draw, Input, OpCase, avoiding, between, distinct, fed, normal, positive

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


def _rows(op_type: str, a: Draw = normal, b: Draw = normal, **attributes: Any) -> list[OpCase]:
    return [
        OpCase(f"{op_type}-{name}", op_type, [Input(x, a), Input(y, b)], attributes)
        for name, (x, y) in _BROADCASTS.items()
    ]


def _row(name: str, op_type: str, *inputs: Any, opset: int = 17, **attributes: Any) -> OpCase:
    return OpCase(f"{op_type}-{name}", op_type, list(inputs), attributes, opset=opset)


def _power(name: str, base: Draw, exponent: Any, **options: Any) -> OpCase:
    return _row(name, "Pow", Input(("N", 3, 4), base), np.asarray(exponent), **options)


def _zeros_and_normal(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Half of the elements are far from zero, the others so near to it that only finite terms keep the sum finite."""
    x = avoiding(0, gap=0.5)(rng, shape)
    return np.where(rng.random(shape) < 0.5, x, 1e-3 * np.sign(x))


def _whole_and_a_bit(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Far from the multiples of one half, of one and of two, where a remainder jumps."""
    return rng.integers(-6, 6, shape) / 2 + rng.uniform(0.1, 0.4, shape)


def _extrema(op_type: str) -> list[OpCase]:
    x = Input(("N", 3, 4), distinct)
    return [
        # Two draws of `distinct` could tie; an offset of half a step keeps them apart.
        _row("constant", op_type, x, np.array(0.005)),
        _row("constant-of-rank-4", op_type, x, np.array([[[[-0.045], [0.015], [0.025]]]])),
        _row("two", op_type, x, Input(("N", 1, 4), lambda rng, shape: distinct(rng, shape) + 0.005)),
        _row(
            "three",
            op_type,
            x,
            Input((3, 1), lambda rng, shape: distinct(rng, shape) + 0.0025),
            Input((4,), lambda rng, shape: distinct(rng, shape) + 0.0025),
            opset=13,
        ),
        _row("one", op_type, Input(("N", 3, 4))),
    ]


_FLAGS = np.array([[True, False, True, True], [False] * 4, [True, True, False, False]])

CASES = [
    *_rows("Add"),
    *_rows("Sub"),
    *_rows("Mul"),
    *_rows("Div", b=positive),
    _row("constant", "Mul", Input(("N", 3, 4)), np.array([1.5, -2.0, 0.5, 3.0])),
    _row("square", "Mul", Input(("N", 3, 4)), Input(("N", 3, 4))),
    _row("by-constant", "Div", Input(("N", 3, 4)), np.array([1.5, -2.0, 0.5, 3.0])),
    _row("of-constant", "Div", np.array(2.0), Input(("N", 3, 4), positive)),
    *_rows("Pow", a=positive),
    _power("square", normal, 2.0),
    _power("square-of-vector", normal, [2.0, 2.0, 2.0, 2.0]),
    _power("cube-of-negative", normal, 3.0, opset=13),
    _power("identity", normal, 1.0),
    _power("inverse", avoiding(0, gap=0.5), -1.0),
    _power("inverse-square", avoiding(0, gap=0.5), -2.0),
    _power("root", positive, 0.5),
    _power("one-and-a-half", positive, 1.5),
    _power("integer-exponent", normal, np.int64(3)),
    _power("integer-exponents", normal, np.array([2, 1, 0, 3], dtype=np.int32)),
    _power("zero-among-exponents", _zeros_and_normal, [0.0, 2.0, 1.0, 3.0]),
    _row("exponents-at-run-time", "Pow", Input(("N", 3, 4)), fed(np.array([2, 0, 1, 3], dtype=np.int64))),
    _row("constant-base", "Pow", np.array(2.5), Input(("N", 3, 4))),
    _row("base-zero", "Pow", np.array([0.0, 2.0, 1.0, 3.0]), Input(("N", 3, 4), positive), opset=13),
    _row("by-one", "Mod", Input(("N", 3, 4), _whole_and_a_bit), np.array(1.0), fmod=1),
    _row("by-vector", "Mod", Input(("N", 3, 4), _whole_and_a_bit), np.array([1.0, -2.0, 0.5, 2.0]), fmod=1),
    _row("of-constant", "Mod", np.array([7.0, -5.0, 3.3, -9.0]), Input(("N", 3, 4), between(1.1, 1.2)), fmod=1),
    _row("both", "Mod", Input(("N", 3, 4), between(4.5, 4.9)), Input((4,), between(1.1, 1.2)), fmod=1, opset=13),
    *_extrema("Max"),
    *_extrema("Min"),
    *_rows("Sum"),
    _row("one", "Sum", Input(("N", 3, 4))),
    _row("three", "Sum", Input(("N", 3, 4)), Input((3, 1)), Input(()), opset=13),
    *_rows("Mean"),
    _row("one", "Mean", Input(("N", 3, 4))),
    _row("three", "Mean", Input(("N", 3, 4)), Input((3, 1)), Input(()), opset=13),
    _row("both", "Where", _FLAGS, Input(("N", 3, 4)), Input(("N", 3, 4))),
    _row("broadcast", "Where", _FLAGS, Input(("N", 1, 4)), Input((3, 1))),
    _row("condition-of-higher-rank", "Where", _FLAGS[:, None], Input((4,)), Input((2, 1))),
    _row("fill", "Where", fed(_FLAGS), np.array(-10.0), Input(("N", 3, 4))),
    _row("constant-else", "Where", _FLAGS, Input(("N", 3, 4)), np.array(0.5)),
    _row("start-and-step", "Range", Input((), between(0.1, 0.2)), np.array(5.0), Input((), between(1.0, 1.05))),
]
