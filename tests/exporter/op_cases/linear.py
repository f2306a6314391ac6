"""Rows for matrix products."""

from typing import Any

import numpy as np

from exporter.op_cases.case import Input, OpCase, fed

_rng = np.random.default_rng(13)


def _w(*shape: int) -> np.ndarray:
    return _rng.standard_normal(shape)


def _row(name: str, op_type: str, *inputs: Any, opset: int = 17, dynamic: bool = False, **attributes: Any) -> OpCase:
    return OpCase(f"{op_type}-{name}", op_type, list(inputs), attributes, opset=opset, dynamic=dynamic)


CASES = [
    _row("plain", "Gemm", Input(("N", 4)), _w(4, 3), _w(3)),
    _row("no-bias", "Gemm", Input(("N", 4)), _w(4, 3), opset=13),
    _row("transB", "Gemm", Input(("N", 4)), _w(3, 4), _w(3), transB=1),
    _row("transA", "Gemm", Input((4, "N")), _w(4, 3), transA=1),
    _row("transA-one-feature", "Gemm", Input((1, 5)), _w(1, 3), transA=1),
    _row("alpha-beta", "Gemm", Input(("N", 4)), Input((4, 3)), Input((3,)), alpha=0.5, beta=2.0),
    _row("both-trans", "Gemm", Input((4, 5)), Input((3, 4)), transA=1, transB=1),
    _row("bias-column", "Gemm", Input((5, 4)), Input((4, 3)), Input((5, 1))),
    _row("bias-scalar", "Gemm", Input(("N", 4)), Input((4, 3)), Input(())),
    _row("bias-full", "Gemm", Input((5, 4)), Input((3, 4)), Input((5, 3)), transB=1, beta=0.5),
    _row("weights", "MatMul", Input(("N", 4)), _w(4, 3)),
    _row("weights-13", "MatMul", Input(("N", 4)), _w(4, 3), opset=13),
    _row("constant-left", "MatMul", _w(5, 4), Input(("N", 4, 3))),
    _row("tokens", "MatMul", Input(("N", 5, 4)), _w(4, 3)),
    _row("channels-last", "MatMul", Input(("N", 5, 6, 4)), _w(4, 3)),
    _row("attention", "MatMul", Input(("N", 2, 5, 4)), Input(("N", 2, 4, 3))),
    _row("shared-right", "MatMul", Input(("N", 2, 5, 4)), Input((4, 3))),
    _row("shared-left", "MatMul", Input((5, 4)), Input(("N", 2, 4, 3))),
    _row("shared-heads", "MatMul", Input(("N", 2, 5, 4)), Input(("N", 1, 4, 3))),
    _row("batch-of-ones", "MatMul", Input(("N", 1, 5, 4)), Input((2, 4, 3))),
    _row("both-batches-of-ones", "MatMul", Input((1, 3, 5, 4)), Input((2, 1, 4, 3))),
    _row("vector-right", "MatMul", Input(("N", 5, 4)), Input((4,))),
    _row("vector-right-of-images", "MatMul", Input(("N", 2, 5, 4)), Input((4,))),
    _row("vector-left", "MatMul", Input((4,)), Input(("N", 4, 3))),
    _row("vector-left-of-images", "MatMul", Input((4,)), Input(("N", 2, 4, 3))),
    _row("vectors", "MatMul", Input((4,)), Input((4,))),
    _row("upper", "Trilu", Input(("N", 4, 5))),
    _row("lower", "Trilu", Input(("N", 3, 5, 4)), upper=0),
    _row("above-the-diagonal", "Trilu", Input(("N", 4, 5)), np.array(1, dtype=np.int64)),
    _row("below-the-diagonal", "Trilu", Input(("N", 4, 5)), np.array(-1, dtype=np.int64), upper=0, opset=14),
    _row("diagonal-at-run-time", "Trilu", Input(("N", 4, 5)), fed(np.array(-2, dtype=np.int64))),
]
