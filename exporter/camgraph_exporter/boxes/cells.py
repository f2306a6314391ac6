"""Decodes the boxes of a YOLOX whose graph leaves them to the program after it, which knows each box's cell."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from camgraph_exporter.vjp.backward import Backward

_FINEST = (8, 4, 16, 32)  # strides in pixels, the usual first
_MOST_MAPS = 8


def cells_of(boxes: int, height: int, width: int) -> np.ndarray | None:
    """Return column, row and stride in pixels of each box's cell, float32 [boxes, 3].

    Each cell of some maps has one box, row by row, the finest map first; each map has half the cells of the one before
    along both ways (Ge et al. 2021, arXiv:2107.08430). None where no such maps have that many cells.
    """
    for finest in _FINEST:
        maps: list[np.ndarray] = []
        while sum(map(len, maps)) < boxes and len(maps) < _MOST_MAPS:
            stride = finest << len(maps)
            maps.append(_cells(height // stride, width // stride, stride))
        if sum(map(len, maps)) == boxes:
            return np.concatenate(maps)
    return None


def decoded(op: Backward, rows: ir.Value, cells: np.ndarray) -> ir.Value:
    """Return centre and size in pixels, [N, boxes, 4], of numbers that count in cells, the sizes as logarithms."""
    places, strides = op.constant(cells[None, :, :2]), op.constant(cells[None, :, 2:])
    middle = op.Add(op.Slice(rows, op.ints(0), op.ints(2), op.ints(2)), places)
    size = op.Exp(op.Slice(rows, op.ints(2), op.ints(4), op.ints(2)))
    return op.Mul(op.Concat(middle, size, axis=2), strides)


def _cells(rows: int, columns: int, stride: int) -> np.ndarray:
    down, across = np.mgrid[:rows, :columns].reshape(2, -1)
    return np.stack([across, down, np.full(rows * columns, stride)], axis=1).astype(np.float32)
