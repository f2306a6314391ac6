"""Rows for pooling."""

from typing import Any

from exporter.op_cases.case import Draw, Input, OpCase, distinct, normal


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
    *_both(
        "dynamic-size-padded", (7, 6), kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], dynamic=True
    ),
    *_both(
        "dynamic-size-same", (7, 6), kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_UPPER", dynamic=True
    ),
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
]
