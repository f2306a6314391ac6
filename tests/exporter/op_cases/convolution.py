"""Rows for convolutions."""

from typing import Any

import numpy as np

from exporter.op_cases.case import Input, OpCase

_rng = np.random.default_rng(11)


def _conv(
    name: str,
    weights: tuple[int, ...],
    size: tuple[int, ...],
    *,
    channels: int = 4,
    bias: bool = False,
    dynamic: bool = False,
    **attributes: Any,
) -> OpCase:
    inputs: list[Any] = [Input(("N", channels, *size)), _rng.standard_normal(weights)]
    if bias:
        inputs.append(_rng.standard_normal(weights[0]))
    return OpCase(f"Conv-{name}", "Conv", inputs, attributes, dynamic=dynamic)


CASES = [
    _conv("1x1", (6, 4, 1, 1), (5, 6)),
    _conv("1x1-grouped", (6, 2, 1, 1), (5, 6), group=2),
    _conv("1x1-strided", (6, 4, 1, 1), (5, 6), strides=[2, 2]),
    _conv("3x3-same", (6, 4, 3, 3), (5, 6), pads=[1, 1, 1, 1], bias=True),
    _conv("3x3-valid", (6, 4, 3, 3), (5, 6)),
    _conv("3x3-asymmetric-pads", (6, 4, 3, 3), (5, 6), pads=[0, 1, 2, 0]),
    _conv("pads-beyond-the-kernel", (6, 4, 3, 3), (5, 6), pads=[3, 4, 3, 3]),
    _conv("5x3", (6, 4, 5, 3), (7, 6), pads=[2, 1, 2, 1]),
    _conv("even-kernel", (6, 4, 2, 4), (7, 6)),
    _conv("dilated", (6, 4, 3, 3), (9, 8), dilations=[2, 3], pads=[2, 3, 2, 3]),
    _conv("strided-odd", (6, 4, 3, 3), (7, 7), strides=[2, 2], pads=[1, 1, 1, 1]),
    _conv("strided-even", (6, 4, 3, 3), (8, 8), strides=[2, 2], pads=[1, 1, 1, 1]),
    _conv("stride-3-unused-border", (6, 4, 2, 2), (9, 10), strides=[3, 3]),
    _conv("stride-4-patches", (6, 4, 4, 4), (8, 12), strides=[4, 4]),
    _conv("strided-dilated", (6, 4, 3, 3), (11, 10), strides=[2, 2], dilations=[2, 2], pads=[2, 2, 2, 2]),
    _conv("stride-on-one-axis", (6, 4, 3, 3), (7, 8), strides=[1, 2], pads=[1, 1, 1, 1]),
    _conv("depthwise", (4, 1, 3, 3), (6, 5), group=4, pads=[1, 1, 1, 1]),
    _conv("depthwise-strided", (4, 1, 3, 3), (7, 6), group=4, strides=[2, 2], pads=[1, 1, 1, 1]),
    _conv("depthwise-multiplier", (8, 1, 3, 3), (6, 5), group=4, pads=[1, 1, 1, 1]),
    _conv("grouped", (6, 2, 3, 3), (6, 5), group=2, pads=[1, 1, 1, 1]),
    _conv("grouped-strided", (6, 2, 3, 3), (6, 5), group=2, strides=[2, 2]),
    _conv("auto-pad-valid", (6, 4, 3, 3), (6, 5), auto_pad="VALID"),
    _conv("auto-pad-same-upper", (6, 4, 3, 3), (7, 6), auto_pad="SAME_UPPER", strides=[2, 2]),
    _conv("auto-pad-same-lower", (6, 4, 4, 4), (7, 6), auto_pad="SAME_LOWER", strides=[2, 2]),
    _conv("auto-pad-same-stride-1", (6, 4, 4, 4), (7, 6), auto_pad="SAME_UPPER"),
    _conv("1d", (6, 4, 3), (9,), pads=[1, 1], strides=[2]),
    _conv("1d-same", (6, 4, 5), (9,), pads=[2, 2]),
    _conv("3d", (5, 4, 3, 3, 2), (5, 4, 4), pads=[1, 1, 1, 1, 1, 0]),
    _conv("3d-strided", (5, 4, 2, 3, 3), (5, 6, 4), strides=[2, 2, 2], pads=[0, 1, 1, 0, 1, 1]),
    _conv("dynamic-size", (6, 4, 3, 3), (6, 5), pads=[1, 1, 1, 1], dynamic=True),
    _conv("dynamic-size-strided", (6, 4, 3, 3), (6, 7), strides=[2, 2], pads=[1, 1, 1, 1], dynamic=True),
    _conv(
        "dynamic-size-same-upper", (6, 4, 3, 3), (6, 7), strides=[2, 2], auto_pad="SAME_UPPER", dynamic=True
    ),
]
