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
    opset: int = 17,
    **attributes: Any,
) -> OpCase:
    inputs: list[Any] = [Input(("N", channels, *size)), _rng.standard_normal(weights)]
    if bias:
        inputs.append(_rng.standard_normal(weights[0]))
    return OpCase(f"Conv-{name}", "Conv", inputs, attributes, dynamic=dynamic, opset=opset)


def _transpose(name: str, weights: tuple[int, ...], size: tuple[int, ...], **options: Any) -> OpCase:
    bias = options.pop("bias", None)
    row = {key: options.pop(key) for key in ("dynamic", "opset", "without_onnxruntime") if key in options}
    inputs: list[Any] = [Input(("N", weights[0], *size)), _rng.standard_normal(weights)]
    if bias:
        inputs.append(_rng.standard_normal(bias))
    return OpCase(f"ConvTranspose-{name}", "ConvTranspose", inputs, options, **row)


def _fold(name: str, channels: int, count: int, image: list[int], block: list[int], **options: Any) -> OpCase:
    columns = channels * int(np.prod(block))
    inputs = [Input(("N", columns, count)), np.array(image), np.array(block)]
    return OpCase(f"Col2Im-{name}", "Col2Im", inputs, options, opset=18)


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
    _conv("dynamic-size-same-upper", (6, 4, 3, 3), (6, 7), strides=[2, 2], auto_pad="SAME_UPPER", dynamic=True),
    _conv("dynamic-size-opset-13", (6, 4, 3, 3), (6, 5), strides=[2, 1], dynamic=True, opset=13),
    _conv("kernel-shape-given", (6, 4, 3, 2), (6, 5), kernel_shape=[3, 2]),
    _conv("opset-13", (6, 4, 3, 3), (6, 5), pads=[1, 1, 1, 1], strides=[2, 1], opset=13),
    _conv("opset-22", (6, 4, 3, 3), (6, 5), pads=[1, 1, 1, 1], strides=[2, 1], opset=22),
    _conv("stride-above-kernel", (6, 4, 1, 2), (8, 9), strides=[3, 4]),
    _conv("strided-pads-beyond-the-kernel", (6, 4, 2, 2), (5, 6), strides=[2, 2], pads=[3, 2, 4, 3]),
    _conv("strided-1x1-padded", (6, 4, 1, 1), (5, 6), strides=[2, 2], pads=[1, 0, 1, 1]),
    _conv("depthwise-dilated", (4, 1, 3, 3), (9, 8), group=4, dilations=[2, 2], pads=[2, 2, 2, 2]),
    _conv("grouped-dilated-strided", (6, 2, 3, 3), (9, 8), group=2, dilations=[2, 1], strides=[1, 2]),
    _conv("auto-pad-same-lower-stride-1", (6, 4, 4, 2), (7, 6), auto_pad="SAME_LOWER"),
    _conv("auto-pad-same-dilated", (6, 4, 3, 3), (9, 8), auto_pad="SAME_UPPER", dilations=[2, 3]),
    _conv(
        "auto-pad-same-dilated-strided", (6, 4, 3, 3), (9, 8), auto_pad="SAME_LOWER", dilations=[2, 3], strides=[2, 3]
    ),
    _conv("auto-pad-valid-strided", (6, 4, 3, 3), (8, 7), auto_pad="VALID", strides=[2, 2]),
    _conv("1d-grouped-dilated", (6, 2, 3), (11,), group=2, dilations=[3], pads=[3, 2]),
    _conv("3d-depthwise", (4, 1, 3, 3, 3), (4, 5, 4), group=4, pads=[1] * 6),
    _conv("dynamic-size-same-lower", (6, 4, 4, 3), (6, 7), strides=[2, 3], auto_pad="SAME_LOWER", dynamic=True),
    _conv("dynamic-size-same-stride-1", (6, 4, 4, 3), (6, 7), auto_pad="SAME_LOWER", dynamic=True),
    _conv("dynamic-size-strided-1x1", (6, 4, 1, 1), (6, 7), strides=[2, 2], dynamic=True),
    _conv("dynamic-size-3d", (5, 4, 3, 2, 3), (5, 4, 6), strides=[2, 1, 2], pads=[1, 0, 1, 1, 0, 1], dynamic=True),
    _conv("dynamic-size-1d", (6, 4, 3), (9,), strides=[2], pads=[1, 1], dynamic=True),
    _conv("depthwise-strided-5x5", (4, 1, 5, 5), (7, 8), group=4, strides=[2, 2], pads=[2, 2, 2, 2]),
    _conv("depthwise-strided-valid", (4, 1, 3, 3), (8, 9), group=4, strides=[3, 2]),
    _conv(
        "depthwise-strided-dilated", (4, 1, 3, 2), (9, 8), group=4, strides=[2, 2], dilations=[2, 3], pads=[2, 1, 1, 2]
    ),
    _conv("depthwise-strided-opset-12", (4, 1, 3, 3), (7, 6), group=4, strides=[2, 2], pads=[1, 1, 1, 1], opset=12),
    # Overlapping windows and many maps, as in a residual network.
    _conv("phases", (6, 32, 3, 3), (4, 6), channels=32, strides=[2, 2], pads=[1, 1, 1, 1], bias=True),
    _conv("phases-5x5", (3, 32, 5, 5), (6, 4), channels=32, strides=[2, 2], pads=[2, 2, 2, 2]),
    _conv("phases-asymmetric", (4, 33, 3, 4), (4, 6), channels=33, strides=[2, 2], pads=[0, 1, 1, 2]),
    _conv("phases-valid", (4, 32, 3, 4), (4, 6), channels=32, strides=[2, 2]),
    _conv("phases-stride-3", (3, 32, 4, 4), (6, 3), channels=32, strides=[3, 3], pads=[1, 1, 1, 1]),
    _conv("phases-stride-4", (2, 32, 8, 7), (8, 8), channels=32, strides=[4, 4], pads=[2, 2, 2, 1]),
    _conv("phases-with-a-rest", (2, 32, 5, 7), (8, 8), channels=32, strides=[4, 4], pads=[2, 3, 1, 2]),
    _conv("phases-grouped", (8, 16, 3, 3), (6, 4), channels=32, group=2, strides=[2, 2], pads=[1, 1, 1, 1]),
    _conv("strided-odd-many-maps", (4, 32, 3, 3), (5, 7), channels=32, strides=[2, 2], pads=[1, 1, 1, 1]),
    _conv("strided-odd-many-maps-without-pads", (4, 32, 3, 3), (5, 7), channels=32, strides=[2, 2]),
    _conv("strided-1x1-many-weights-odd", (64, 3, 1, 1), (5, 3), channels=3, strides=[2, 2]),
    _conv("strided-1x1-many-weights", (64, 3, 1, 1), (4, 2), channels=3, strides=[2, 2]),
    _conv("strided-1x1-grouped-many-weights", (64, 2, 1, 1), (4, 2), channels=4, group=2, strides=[2, 2]),
    _conv("tiles", (4, 32, 2, 2), (2, 4), channels=32, strides=[2, 2]),
    _transpose("2x2-stride-2", (4, 6, 2, 2), (4, 5), strides=[2, 2], bias=6),
    _transpose("stride-1", (4, 6, 3, 3), (4, 5)),
    _transpose("dynamic-size-opset-13", (4, 6, 2, 2), (4, 5), strides=[2, 2], dynamic=True, opset=13),
    _transpose("3x3-stride-2-padded", (4, 6, 3, 3), (4, 5), strides=[2, 2], pads=[1, 1, 1, 1]),
    _transpose("asymmetric-pads", (4, 6, 3, 3), (4, 5), strides=[2, 2], pads=[0, 1, 2, 0]),
    _transpose("pads-beyond-the-kernel", (4, 6, 2, 2), (5, 6), pads=[2, 1, 2, 2]),
    _transpose("output-padding", (4, 6, 3, 3), (4, 5), strides=[2, 3], pads=[1, 1, 1, 1], output_padding=[1, 2]),
    _transpose("output-padding-beyond-stride", (4, 6, 3, 3), (4, 5), dilations=[3, 2], output_padding=[2, 1]),
    _transpose(
        "output-padding-beyond-stride-dynamic",
        (4, 6, 3, 3),
        (4, 5),
        dilations=[3, 2],
        output_padding=[2, 1],
        dynamic=True,
        without_onnxruntime="It allows an output_padding below the stride only, not below the dilation.",
    ),
    _transpose("dilated", (4, 6, 3, 2), (5, 4), dilations=[2, 3], strides=[2, 1], pads=[1, 2, 1, 0]),
    _transpose("grouped", (4, 3, 3, 3), (4, 5), group=2, strides=[2, 2], bias=6),
    _transpose("depthwise", (4, 1, 4, 4), (4, 5), group=4, strides=[2, 2], pads=[1, 1, 1, 1]),
    _transpose("output-padding-of-a-stride", (4, 6, 3, 3), (4, 5), dilations=[2, 3], output_padding=[1, 1]),
    _transpose(
        "output-shape-and-padding",
        (4, 6, 3, 3),
        (4, 5),
        strides=[3, 3],
        output_padding=[1, 1],
        output_shape=[12, 14],
        auto_pad="SAME_UPPER",
    ),
    _transpose("output-shape", (4, 6, 3, 3), (4, 5), strides=[2, 2], output_shape=[8, 10]),
    _transpose(
        "output-shape-same-upper", (4, 6, 3, 3), (4, 5), strides=[2, 2], output_shape=[8, 10], auto_pad="SAME_UPPER"
    ),
    _transpose("output-shape-exact", (4, 6, 3, 3), (4, 5), strides=[2, 2], output_shape=[9, 11]),
    _transpose("auto-pad-same-upper", (4, 6, 3, 3), (4, 5), strides=[2, 2], auto_pad="SAME_UPPER"),
    _transpose("auto-pad-same-lower", (4, 6, 4, 3), (4, 5), strides=[1, 2], auto_pad="SAME_LOWER"),
    _transpose("auto-pad-valid", (4, 6, 3, 3), (4, 5), strides=[2, 2], auto_pad="VALID"),
    _transpose("1d", (4, 6, 4), (5,), strides=[2], pads=[1, 1]),
    _transpose("3d", (4, 5, 2, 3, 2), (3, 4, 3), strides=[2, 1, 2], pads=[0, 1, 0, 1, 1, 0]),
    _transpose(
        "dynamic-size", (4, 6, 3, 3), (4, 5), strides=[2, 2], pads=[1, 1, 1, 1], output_padding=[1, 1], dynamic=True
    ),
    _transpose("dynamic-size-same-upper", (4, 6, 3, 3), (4, 5), strides=[2, 2], auto_pad="SAME_UPPER", dynamic=True),
    _transpose("dynamic-size-same-lower", (4, 6, 5, 3), (4, 5), strides=[2, 2], auto_pad="SAME_LOWER", dynamic=True),
    _transpose("opset-13", (4, 6, 2, 2), (4, 5), strides=[2, 2], opset=13),
    _transpose("opset-22", (4, 6, 2, 2), (4, 5), strides=[2, 2], opset=22),
    _fold("blocks", 3, 6, [4, 6], [2, 2], strides=[2, 2]),
    _fold("overlapping", 2, 6, [4, 5], [3, 3]),
    _fold("pads-strides", 2, 6, [5, 4], [3, 3], pads=[1, 1, 1, 1], strides=[2, 2]),
    _fold("dilated", 2, 6, [4, 5], [2, 3], dilations=[2, 1]),
    _fold("1d", 3, 4, [7], [4]),
    _fold("3d", 2, 8, [3, 3, 3], [2, 2, 2]),
]
