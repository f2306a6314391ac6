"""The table of quantised operators: one row is one node on integers, with the ordinary operator that it stands for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

MICROSOFT = "com.microsoft"
_rng = np.random.default_rng(29)


@dataclass(frozen=True)
class Activation:
    """An operand that a QuantizeLinear makes from a float input [batch, *shape]; about a twentieth of it is clipped."""

    shape: Sequence[int]
    scale: float = 0.02
    zero_point: int = 120
    dtype: type = np.uint8


@dataclass(frozen=True)
class Weights:
    """A constant operand: integers with one scale, or one an entry of `axis`."""

    integers: np.ndarray
    scale: Any = 0.01
    zero_point: Any = 0
    axis: int = 0

    def real(self) -> np.ndarray:
        """The real numbers that the integers stand for."""
        rank = self.integers.ndim
        wide = [-1 if i == self.axis % rank else 1 for i in range(rank)]
        scale, offset = (
            np.reshape(np.asarray(x, np.float64), wide if np.ndim(x) else []) for x in (self.scale, self.zero_point)
        )
        return (self.integers - offset) * scale


@dataclass(frozen=True)
class QuantisedCase:
    """One node.

    `real`: the ordinary operator with its attributes. `result`: scale, zero point and type of the output, or None.
    `blocks`: whether the integers at the lower and the upper end of the result pass no gradient. `bias`: int32, or
    None.
    """

    op_type: str
    id: str
    operands: Sequence[Activation | Weights]
    real: tuple[str, dict[str, Any]]
    result: tuple[float, int, type] | None
    blocks: tuple[bool, bool] = (True, True)
    attributes: dict[str, Any] = field(default_factory=dict)
    bias: np.ndarray | None = None
    bias_scale: Any = 1.0
    domain: str = MICROSOFT
    opset: int = 17

    def __str__(self) -> str:
        return f"{self.op_type}-{self.id}"


def _integers(*shape: int, dtype: type = np.int8) -> np.ndarray:
    limits = np.iinfo(dtype)
    return _rng.integers(limits.min, limits.max + 1, shape).astype(dtype)


def _conv(
    id_: str, weights: Weights, result: tuple[float, int, type], x: Activation | None = None, **options: Any
) -> QuantisedCase:
    x = x or Activation((4, 6, 5))
    attributes = options.pop("attributes", {})
    bias_scale = x.scale * np.asarray(weights.scale, np.float64)
    return QuantisedCase(
        "QLinearConv",
        id_,
        [x, weights],
        ("Conv", attributes),
        result,
        attributes=attributes,
        bias_scale=bias_scale,
        domain="",
        **options,
    )


def _unary(
    op_type: str, id_: str, real: str, result: tuple[float, int, type], x: Activation | None = None, **attributes: Any
) -> QuantisedCase:
    x = x or Activation((3, 6, 5))
    return QuantisedCase(op_type, id_, [x], (real, attributes), result, (False, False), attributes)


_CHANNELS = np.array([0.01, 0.02, 0.005, 0.03, 0.015, 0.012])
_WIDE = (0.1, 128, np.uint8)
_RELU = (0.05, 0, np.uint8)
_IMAGE = Activation((3, 6, 5))
_ROWS = Activation((7,))
_SIGNED = Activation((3, 6, 5), 0.03, -7, np.int8)
_MATRIX = Weights(_integers(7, 5), 0.004)

CASES = [
    _conv("plain", Weights(_integers(6, 4, 3, 3)), _WIDE, attributes={"pads": [1, 1, 1, 1]}),
    _conv("as-relu", Weights(_integers(6, 4, 3, 3)), _RELU, attributes={"pads": [1, 1, 1, 1]}),
    _conv("channels", Weights(_integers(6, 4, 3, 3), _CHANNELS), _WIDE, attributes={"strides": [2, 2]}),
    _conv("bias", Weights(_integers(6, 4, 1, 1), _CHANNELS), _RELU, bias=np.arange(-3, 3, dtype=np.int32) * 900),
    _conv("groups", Weights(_integers(4, 2, 3, 3)), _WIDE, attributes={"group": 2}),
    _conv(
        "depthwise",
        Weights(_integers(4, 1, 3, 3)),
        (0.05, -20, np.int8),
        Activation((4, 6, 5), 0.03, 9, np.int8),
        attributes={"group": 4},
    ),
    _conv("unsigned-weights", Weights(_integers(6, 4, 3, 3, dtype=np.uint8), 0.01, 131), _WIDE),
    QuantisedCase("QLinearMatMul", "weights", [_ROWS, _MATRIX], ("MatMul", {}), (0.02, 100, np.uint8), domain=""),
    QuantisedCase(
        "QLinearMatMul",
        "columns",
        [_ROWS, Weights(_integers(7, 5), _CHANNELS[:5], axis=1)],
        ("MatMul", {}),
        (0.05, 100, np.uint8),
        domain="",
    ),
    QuantisedCase(
        "QLinearMatMul",
        "two",
        [Activation((2, 3, 7)), Activation((2, 7, 5), 0.03, 100)],
        ("MatMul", {}),
        (0.2, 128, np.uint8),
        domain="",
    ),
    QuantisedCase(
        "QGemm", "plain", [_ROWS, _MATRIX], ("Gemm", {"alpha": 0.5}), (0.02, 0, np.uint8), attributes={"alpha": 0.5}
    ),
    QuantisedCase(
        "QGemm",
        "bias-transposed",
        [_ROWS, Weights(_integers(5, 7), _CHANNELS[:5])],
        ("Gemm", {"transB": 1}),
        (0.05, 90, np.uint8),
        attributes={"transB": 1},
        bias=np.arange(5, dtype=np.int32) * 500,
        bias_scale=0.02 * _CHANNELS[:5],
    ),
    QuantisedCase("QGemm", "float", [_ROWS, _MATRIX], ("Gemm", {}), None),
    QuantisedCase("QLinearAdd", "two", [_IMAGE, Activation((3, 6, 5), 0.05, 100)], ("Add", {}), (0.03, 128, np.uint8)),
    QuantisedCase("QLinearAdd", "signed", [_SIGNED, _SIGNED], ("Add", {}), (0.05, -128, np.int8)),
    QuantisedCase(
        "QLinearAdd",
        "constant",
        [_IMAGE, Weights(_integers(3, 1, 1, dtype=np.uint8), 0.02, 99)],
        ("Add", {}),
        (0.03, 128, np.uint8),
    ),
    QuantisedCase(
        "QLinearAdd",
        "not-negative",
        [Activation((3, 6, 5), 0.01, 0), Activation((3, 6, 5), 0.02, 0)],
        ("Add", {}),
        (0.01, 0, np.uint8),
        (False, True),
    ),
    QuantisedCase("QLinearMul", "two", [_IMAGE, Activation((3, 6, 5), 0.05, 100)], ("Mul", {}), (0.1, 128, np.uint8)),
    QuantisedCase(
        "QLinearMul",
        "gate",
        [Activation((3, 6, 5), 0.02, 0), Activation((3, 1, 1), 1 / 256, 0)],
        ("Mul", {}),
        (0.02, 0, np.uint8),
        (False, False),
    ),
    _unary("QLinearGlobalAveragePool", "plain", "GlobalAveragePool", (0.005, 120, np.uint8)),
    _unary(
        "QLinearGlobalAveragePool",
        "not-negative",
        "GlobalAveragePool",
        (0.004, 0, np.uint8),
        Activation((3, 6, 5), 0.02, 0),
    ),
    _unary("QLinearAveragePool", "plain", "AveragePool", (0.015, 120, np.uint8), kernel_shape=[2, 3], strides=[2, 1]),
    _unary(
        "QLinearAveragePool",
        "padded",
        "AveragePool",
        (0.015, 120, np.uint8),
        kernel_shape=[3, 3],
        pads=[1, 1, 1, 1],
        count_include_pad=1,
    ),
    _unary("QLinearLeakyRelu", "plain", "LeakyRelu", (0.02, 60, np.uint8), alpha=0.2),
    _unary("QLinearSigmoid", "plain", "Sigmoid", (1 / 256, 0, np.uint8)),
    QuantisedCase(
        "QLinearSoftmax",
        "last",
        [Activation((7,), 0.05)],
        ("Softmax", {"axis": -1}),
        (1 / 256, 0, np.uint8),
        (False, False),
        {"axis": -1, "opset": 13},
    ),
    QuantisedCase(
        "QLinearConcat",
        "two",
        [_IMAGE, Activation((2, 6, 5), 0.05, 100)],
        ("Concat", {"axis": 1}),
        (0.03, 128, np.uint8),
        (False, False),
        {"axis": 1},
    ),
    QuantisedCase(
        "MaxPool",
        "integers",
        [_IMAGE],
        ("MaxPool", {"kernel_shape": [2, 2]}),
        (0.02, 120, np.uint8),
        (False, False),
        {"kernel_shape": [2, 2]},
        domain="",
    ),
    QuantisedCase(
        "Transpose",
        "integers",
        [_IMAGE],
        ("Transpose", {"perm": [0, 2, 3, 1]}),
        (0.02, 120, np.uint8),
        (False, False),
        {"perm": [0, 2, 3, 1]},
        domain="",
    ),
    QuantisedCase(
        "ConvInteger",
        "plain",
        [Activation((4, 6, 5)), Weights(_integers(6, 4, 3, 3), 0.01)],
        ("Conv", {"pads": [1, 1, 1, 1]}),
        None,
        attributes={"pads": [1, 1, 1, 1]},
        domain="",
    ),
    QuantisedCase("MatMulInteger", "plain", [_ROWS, _MATRIX], ("MatMul", {}), None, domain=""),
    QuantisedCase(
        "MatMulInteger",
        "two",
        [Activation((2, 3, 7)), Activation((2, 7, 5), 0.03, 100)],
        ("MatMul", {}),
        None,
        domain="",
    ),
    QuantisedCase(
        "Identity",
        "uint16",
        [Activation((3, 6, 5), 1e-4, 33000, np.uint16)],
        ("Identity", {}),
        (1e-4, 33000, np.uint16),
        (False, False),
        domain="",
        opset=21,
    ),
    QuantisedCase(
        "Identity",
        "int16",
        [Activation((3, 6, 5), 1e-4, -50, np.int16)],
        ("Identity", {}),
        (1e-4, -50, np.int16),
        (False, False),
        domain="",
        opset=21,
    ),
]

# Operators that the rows go through: those of the rows, and those that make and read their integers.
COVERED = (
    {(case.domain, case.op_type) for case in CASES}
    | {(domain, name) for domain in ("", MICROSOFT) for name in ("QuantizeLinear", "DequantizeLinear")}
    | {("", "DynamicQuantizeLinear")}
)
