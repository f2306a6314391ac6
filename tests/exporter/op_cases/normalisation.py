"""Rows for normalisation layers."""

import numpy as np

from exporter.op_cases.case import Input, OpCase

_rng = np.random.default_rng(17)


def _statistics() -> list[np.ndarray]:
    return [
        _rng.standard_normal(3),
        _rng.standard_normal(3),
        _rng.standard_normal(3),
        _rng.uniform(0.5, 2, 3),
    ]


CASES = [
    OpCase(
        "BatchNormalization-2d",
        "BatchNormalization",
        [Input(("N", 3, 4, 5)), *_statistics()],
        {"epsilon": 1e-3},
    ),
    OpCase("BatchNormalization-0d", "BatchNormalization", [Input(("N", 3)), *_statistics()]),
]
