"""Rows for pooling."""

from typing import Any

import numpy as np

from exporter.op_cases.case import Draw, Fed, Input, OpCase, avoiding, distinct, normal


def _pool(
    op_type: str,
    name: str,
    size: tuple[int, ...],
    draw: Draw,
    *,
    dynamic: bool = False,
    opset: int = 17,
    **attributes: Any,
) -> OpCase:
    return OpCase(
        f"{op_type}-{name}", op_type, [Input(("N", 2, *size), draw)], attributes, dynamic=dynamic, opset=opset
    )


def _both(name: str, size: tuple[int, ...], **options: Any) -> list[OpCase]:
    average = [] if "dilations" in options else [_pool("AveragePool", name, size, normal, **options)]
    return [_pool("MaxPool", name, size, distinct, **options), *average]


_nonzero = avoiding(0, gap=0.1)


def _unpool_indices(batch: int, _growth: int) -> np.ndarray:
    """One place a 2x3 window of the unpooled map [batch, 2, 4, 6], counted over the whole batch as MaxPool does."""
    rng = np.random.default_rng(5)
    rows = rng.integers(0, 2, (batch, 2, 2, 2)) + 2 * np.arange(2).reshape(2, 1)
    columns = rng.integers(0, 3, (batch, 2, 2, 2)) + 3 * np.arange(2)
    return rows * 6 + columns + 24 * np.arange(2 * batch).reshape(batch, 2, 1, 1)


CASES = [
    *_both("2x2", (4, 6), kernel_shape=[2, 2], strides=[2, 2]),
    *_both("2x2-unused-border", (5, 7), kernel_shape=[2, 2], strides=[2, 2]),
    *_both("3x3-overlap", (7, 7), kernel_shape=[3, 3], strides=[2, 2]),
    *_both("3x3-padded", (7, 6), kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
    *_both("3x3-stride-1", (5, 6), kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
    *_both("ceil", (6, 7), kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1),
    *_both("ceil-padded", (6, 7), kernel_shape=[3, 3], strides=[2, 2], pads=[1, 0, 0, 1], ceil_mode=1),
    *_both("same-upper", (6, 7), kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_UPPER"),
    *_both("same-lower", (6, 7), kernel_shape=[2, 2], strides=[1, 1], auto_pad="SAME_LOWER"),
    *_both("1d", (9,), kernel_shape=[3], strides=[2], pads=[1, 1]),
    *_both("3d", (4, 5, 4), kernel_shape=[2, 3, 2], strides=[2, 2, 2]),
    *_both("whole-map", (4, 5), kernel_shape=[4, 5]),
    *_both("dynamic-size", (7, 6), kernel_shape=[3, 3], strides=[2, 2], dynamic=True),
    *_both("dynamic-size-padded", (7, 6), kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], dynamic=True),
    *_both("dynamic-size-same", (7, 6), kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_UPPER", dynamic=True),
    _pool("MaxPool", "dilated", (9, 8), distinct, kernel_shape=[3, 2], dilations=[2, 3], strides=[1, 2]),
    _pool(
        "AveragePool",
        "dilated",
        (9, 8),
        normal,
        kernel_shape=[3, 2],
        dilations=[2, 3],
        strides=[1, 2],
        opset=19,
    ),
    _pool("AveragePool", "tiles", (6, 8), normal, kernel_shape=[2, 4], strides=[2, 4]),
    _pool(
        "AveragePool",
        "tiles-beside-the-input",
        (6, 8),
        normal,
        kernel_shape=[2, 4],
        strides=[2, 4],
        pads=[1, 2, 0, 1],
        count_include_pad=1,
    ),
    _pool("AveragePool", "tiles-with-a-rest", (7, 8), normal, kernel_shape=[2, 4], strides=[2, 4]),
    _pool(
        "AveragePool",
        "include-pad",
        (7, 6),
        normal,
        kernel_shape=[3, 3],
        strides=[2, 2],
        pads=[1, 1, 1, 1],
        count_include_pad=1,
    ),
    _pool(
        "AveragePool",
        "include-pad-ceil",
        (6, 6),
        normal,
        kernel_shape=[3, 3],
        strides=[2, 2],
        pads=[1, 1, 1, 1],
        count_include_pad=1,
        ceil_mode=1,
    ),
    _pool(
        "AveragePool",
        "include-pad-dynamic",
        (7, 6),
        normal,
        kernel_shape=[3, 3],
        strides=[2, 2],
        pads=[1, 1, 1, 1],
        count_include_pad=1,
        dynamic=True,
    ),
    _pool("GlobalAveragePool", "2d", (4, 5), normal),
    _pool("GlobalAveragePool", "1d", (6,), normal),
    _pool("GlobalAveragePool", "dynamic-size", (4, 5), normal, dynamic=True),
    _pool("GlobalMaxPool", "2d", (4, 5), distinct),
    _pool("GlobalMaxPool", "dynamic-size", (4, 5), distinct, dynamic=True),
    *_both("valid", (6, 7), kernel_shape=[3, 2], strides=[2, 2], auto_pad="VALID"),
    *_both("same-lower-strided", (6, 7), kernel_shape=[3, 4], strides=[2, 3], auto_pad="SAME_LOWER"),
    *_both("same-upper-stride-1", (6, 7), kernel_shape=[4, 3], auto_pad="SAME_UPPER"),
    *_both("asymmetric-pads", (6, 7), kernel_shape=[3, 3], strides=[2, 1], pads=[0, 1, 2, 2]),
    *_both("stride-above-kernel", (8, 9), kernel_shape=[2, 1], strides=[3, 2]),
    *_both("1x1", (3, 4), kernel_shape=[1, 1]),
    *_both("ceil-1d", (8,), kernel_shape=[3], strides=[3], ceil_mode=1),
    *_both(
        "ceil-window-in-padding-dropped", (4, 5), kernel_shape=[1, 2], strides=[2, 3], pads=[0, 1, 0, 1], ceil_mode=1
    ),
    *_both("ceil-3d", (4, 5, 4), kernel_shape=[2, 2, 3], strides=[2, 2, 2], ceil_mode=1),
    *_both("opset-13", (6, 7), kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1, opset=13),
    *_both("opset-22", (6, 7), kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1, opset=22),
    *_both("dynamic-size-ceil", (6, 7), kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1, dynamic=True),
    *_both("dynamic-size-valid", (6, 7), kernel_shape=[3, 3], strides=[2, 2], auto_pad="VALID", dynamic=True),
    *_both("dynamic-size-same-lower", (6, 7), kernel_shape=[4, 3], strides=[3, 2], auto_pad="SAME_LOWER", dynamic=True),
    *_both("dynamic-size-1d", (9,), kernel_shape=[3], strides=[2], pads=[1, 1], dynamic=True),
    _pool(
        "MaxPool",
        "dilated-padded-ceil",
        (9, 8),
        distinct,
        kernel_shape=[3, 2],
        dilations=[2, 3],
        strides=[2, 2],
        pads=[1, 1, 2, 1],
        ceil_mode=1,
    ),
    _pool(
        "MaxPool",
        "dilated-same",
        (9, 8),
        distinct,
        kernel_shape=[3, 2],
        dilations=[2, 3],
        strides=[2, 1],
        auto_pad="SAME_UPPER",
    ),
    _pool("MaxPool", "storage-order", (6, 7), distinct, kernel_shape=[2, 2], strides=[2, 2], storage_order=1),
    OpCase(
        "MaxPool-with-indices",
        "MaxPool",
        [Input(("N", 2, 6, 7), distinct)],
        {"kernel_shape": [3, 3], "strides": [2, 2]},
        outputs=2,
    ),
    _pool(
        "AveragePool",
        "dilated-padded-ceil",
        (9, 8),
        normal,
        kernel_shape=[3, 2],
        dilations=[2, 3],
        strides=[2, 2],
        pads=[1, 1, 2, 1],
        ceil_mode=1,
        opset=19,
    ),
    _pool(
        "AveragePool",
        "dilated-dynamic-size",
        (9, 8),
        normal,
        kernel_shape=[3, 2],
        dilations=[2, 3],
        strides=[2, 1],
        pads=[1, 1, 2, 1],
        opset=22,
        dynamic=True,
    ),
    _pool(
        "AveragePool",
        "include-pad-same",
        (6, 7),
        normal,
        kernel_shape=[3, 2],
        strides=[2, 2],
        auto_pad="SAME_UPPER",
        count_include_pad=1,
    ),
    _pool(
        "AveragePool",
        "include-pad-ceil-dynamic",
        (6, 6),
        normal,
        kernel_shape=[3, 3],
        strides=[2, 2],
        pads=[1, 1, 1, 1],
        count_include_pad=1,
        ceil_mode=1,
        opset=19,
        dynamic=True,
    ),
    _pool("AveragePool", "whole-map-padded", (4, 5), normal, kernel_shape=[4, 5], pads=[1, 0, 0, 1]),
    _pool("GlobalAveragePool", "3d", (3, 2, 4), normal),
    _pool("GlobalAveragePool", "opset-22", (4, 5), normal, opset=22),
    _pool("GlobalMaxPool", "1d", (6,), distinct),
    _pool("GlobalMaxPool", "3d", (3, 2, 4), distinct),
    _pool("LpPool", "2", (6, 7), _nonzero, kernel_shape=[3, 2], strides=[2, 2]),
    _pool("LpPool", "1", (6, 7), _nonzero, kernel_shape=[2, 2], strides=[2, 2], p=1),
    _pool("LpPool", "3-overlap-padded", (6, 7), _nonzero, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], p=3),
    _pool("LpPool", "4", (6, 7), _nonzero, kernel_shape=[2, 3], p=4, opset=22),
    _pool(
        "LpPool",
        "dilated-ceil",
        (8, 7),
        _nonzero,
        kernel_shape=[2, 3],
        dilations=[3, 2],
        strides=[2, 2],
        ceil_mode=1,
        opset=18,
    ),
    _pool("LpPool", "same-lower", (6, 7), _nonzero, kernel_shape=[3, 2], strides=[2, 2], auto_pad="SAME_LOWER"),
    _pool(
        "LpPool", "dynamic-size", (6, 7), _nonzero, kernel_shape=[3, 2], strides=[2, 1], pads=[1, 0, 1, 1], dynamic=True
    ),
    _pool("LpPool", "1d", (7,), _nonzero, kernel_shape=[3], strides=[2]),
    _pool("GlobalLpPool", "2", (4, 5), _nonzero),
    _pool("GlobalLpPool", "1", (4, 5), _nonzero, p=1),
    _pool("GlobalLpPool", "3", (4,), _nonzero, p=3),
    _pool("GlobalLpPool", "dynamic-size", (4, 5), _nonzero, p=2, dynamic=True),
    OpCase(
        "MaxUnpool-2x3",
        "MaxUnpool",
        [Input(("N", 2, 2, 2)), Fed(_unpool_indices)],
        {"kernel_shape": [2, 3], "strides": [2, 3]},
    ),
]
