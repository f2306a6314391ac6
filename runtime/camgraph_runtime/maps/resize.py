"""The bilinear resize of a map, as ``cv2.resize`` of OpenCV 5 on x86: the same bits, on every CPU.

OpenCV works out positions in float64, and each step between two cells as one multiplication and addition that is
rounded once. A float64 holds the product of two float32 exactly, so that this needs no such instruction. Of maps of a
single row or column OpenCV takes other code, from which this differs by up to 2e-6 of the largest value.
"""

from __future__ import annotations

import numpy as np

from camgraph_core.frame import Size
from camgraph_core.types import AnyArray, FloatArray


def resize_map(cells: FloatArray, size: Size) -> FloatArray:
    """A map float32 [h, w] at a size, bilinear: float32."""
    top, bottom, down = _taps(cells.shape[0], size[0])
    left, right, across = _taps(cells.shape[1], size[1])
    wide = _between(cells[:, left], cells[:, right], across)
    return _between(wide[top], wide[bottom], down[:, None])


def _taps(have: int, want: int) -> tuple[AnyArray, AnyArray, FloatArray]:
    """The two cells of each position along an axis, and the weight of the second."""
    positions = np.clip((np.arange(want) + 0.5) * (have / want) - 0.5, 0, have - 1)
    lower = np.floor(positions).astype(np.intp)
    return lower, np.minimum(lower + 1, have - 1), (positions - lower).astype(np.float32)


def _between(first: FloatArray, second: FloatArray, weight: FloatArray) -> FloatArray:
    step: AnyArray = (second - first).astype(np.float64)
    step *= weight
    step += first
    return step.astype(np.float32)
