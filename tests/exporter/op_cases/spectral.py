"""Rows for the discrete Fourier transform."""

from __future__ import annotations

from typing import Any

import numpy as np

from exporter.op_cases.case import Input, OpCase, fed


def _row(name: str, size: tuple[int, ...], *inputs: Any, opset: int, **attributes: int) -> OpCase:
    return OpCase(f"DFT-{name}", "DFT", [Input(("N", *size)), *inputs], attributes, opset=opset)


_AXIS = np.array(2)

CASES = [
    _row("17", (5, 2), opset=17),
    _row("17-real", (3, 4, 1), opset=17, axis=2),
    _row("17-onesided", (3, 4, 1), opset=17, axis=2, onesided=1),
    _row("17-onesided-odd", (3, 5, 1), opset=17, axis=-2, onesided=1),
    _row("17-longer", (3, 5, 2), np.array(7), opset=17, axis=2),
    _row("17-shorter", (3, 5, 1), np.array(3), opset=17, axis=2, onesided=1),
    _row("17-inverse", (3, 4, 2), opset=17, axis=2, inverse=1),
    _row("17-first-axis", (4, 3, 2), opset=17, axis=1, inverse=1),
    _row("20", (3, 4, 2), opset=20),
    _row("20-onesided", (3, 4, 5, 1), None, _AXIS, opset=20, onesided=1),
    _row("20-length", (3, 4, 1), np.array(6), opset=20),
    _row("20-computed-length", (3, 4, 2), fed(np.array(6)), opset=20),
    _row("20-inverse", (3, 4, 5, 2), None, _AXIS, opset=20, inverse=1),
    _row("20-inverse-real", (3, 4, 1), opset=20, inverse=1),
    _row("20-inverse-onesided", (3, 4, 5, 2), None, np.array(-2), opset=20, inverse=1, onesided=1),
    _row("20-inverse-onesided-odd", (3, 4, 2), np.array(7), opset=20, inverse=1, onesided=1),
    _row("20-inverse-onesided-shorter", (3, 5, 2), np.array(4), _AXIS, opset=20, inverse=1, onesided=1),
]
