"""Writes out a product whose weights are packed: numbers of 2, 4 or 8 bits, in blocks with a scale each."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir

from camgraph_exporter.prepare.writer import Writer

Array = np.ndarray[Any, Any]


def mat_mul_of_packed(op: Writer) -> list[ir.Value] | None:
    """MatMulNBits: x times the transpose of (number - zero point) * scale.

    Its inputs are x, the numbers, scales, zero points, an order of the columns and a bias. The weights are unpacked
    into the element type of the scales, so that the graph has them in full.
    """
    packed, scales, zeros = (_array(op.input(index)) for index in (1, 2, 3))
    bits, block = int(op.attribute("bits", 4)), int(op.attribute("block_size", 0))
    if packed is None or scales is None or op.input(4) is not None or bits not in (2, 4, 8) or not block:
        return None
    if op.input(3) is not None and zeros is None:
        return None
    rows, columns = int(op.attribute("N", 0)), int(op.attribute("K", 0))
    numbers = _unpacked(packed.reshape(rows, -1, block * bits // 8), bits).astype(np.float64)
    blocks = numbers.shape[1]
    if zeros is None:
        middle = np.full((rows, blocks), 2.0 ** (bits - 1))
    elif zeros.dtype == np.uint8:
        middle = _unpacked(zeros.reshape(rows, -1), bits)[:, :blocks].astype(np.float64)
    else:
        middle = zeros.reshape(rows, blocks).astype(np.float64)
    weights = (numbers - middle[..., None]) * scales.reshape(rows, blocks, 1).astype(np.float64)
    whole = weights.reshape(rows, -1)[:, :columns].T.astype(scales.dtype)
    y = op("MatMul", op.input(0), op.constant(np.ascontiguousarray(whole)))
    return [y if op.input(5) is None else op("Add", y, op.input(5))]


def _array(value: ir.Value | None) -> Array | None:
    return None if value is None or value.const_value is None else value.const_value.numpy()


def _unpacked(array: Array, bits: int) -> Array:
    """Return the numbers of the last axis, of which each byte holds 8 / bits, the lowest bits first."""
    shifts = np.arange(0, 8, bits, dtype=np.uint8)
    numbers = (array[..., None] >> shifts) & np.uint8(2**bits - 1)
    return numbers.reshape(*array.shape[:-1], -1)
