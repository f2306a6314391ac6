"""Rows for matrix products."""

import numpy as np

from exporter.op_cases.case import Input, OpCase

_rng = np.random.default_rng(13)


def _w(*shape: int) -> np.ndarray:
    return _rng.standard_normal(shape)


CASES = [
    OpCase("Gemm-plain", "Gemm", [Input(("N", 4)), _w(4, 3), _w(3)]),
    OpCase("Gemm-transB", "Gemm", [Input(("N", 4)), _w(3, 4), _w(3)], {"transB": 1}),
    OpCase("Gemm-transA", "Gemm", [Input((4, "N")), _w(4, 3)], {"transA": 1}),
    OpCase(
        "Gemm-alpha-beta", "Gemm", [Input(("N", 4)), Input((4, 3)), Input((3,))], {"alpha": 0.5, "beta": 2.0}
    ),
    OpCase("Gemm-both-trans", "Gemm", [Input((4, 5)), Input((3, 4))], {"transA": 1, "transB": 1}),
    OpCase("MatMul-weights", "MatMul", [Input(("N", 4)), _w(4, 3)]),
    OpCase("MatMul-tokens", "MatMul", [Input(("N", 5, 4)), _w(4, 3)]),
    OpCase("MatMul-attention", "MatMul", [Input(("N", 2, 5, 4)), Input(("N", 2, 4, 3))]),
    OpCase("MatMul-shared-right", "MatMul", [Input(("N", 2, 5, 4)), Input((4, 3))]),
    OpCase("MatMul-shared-left", "MatMul", [Input((5, 4)), Input(("N", 2, 4, 3))]),
    OpCase("MatMul-batch-of-ones", "MatMul", [Input(("N", 1, 5, 4)), Input((2, 4, 3))]),
    OpCase("MatMul-vector-right", "MatMul", [Input(("N", 5, 4)), Input((4,))]),
    OpCase("MatMul-vector-left", "MatMul", [Input((4,)), Input(("N", 4, 3))]),
]
