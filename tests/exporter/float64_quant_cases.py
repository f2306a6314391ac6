"""Operator cases for the float64 evaluator: integers."""

from typing import Any

import numpy as np
import onnx
from float64_cases import Case, floats

_X = (2, 6, 5, 4)

_U8 = np.random.default_rng(1).integers(0, 256, (2, 4, 6, 5), np.uint8)
_I8 = np.random.default_rng(2).integers(-128, 128, (6, 4, 3, 3), np.int8)
_DEPTHWISE = np.random.default_rng(3).integers(-128, 128, (4, 1, 3, 3), np.int8)
_SCALES = floats(0.01, 0.02, 0.03, 0.04, 0.05, 0.06)


def _one(value: float, dtype: Any = np.float32) -> Any:
    return np.array(value, dtype)


def _integer(op: str, *inputs: Any, opset: int = 21, outputs: int = 1, **attributes: Any) -> Case:
    return Case(op, inputs, attributes, opset, outputs, smooth=False)


def _qlinear_conv(weights: Any, w_scale: Any, y_zero_point: Any, *bias: Any, **attributes: Any) -> Case:
    x = (_U8, _one(0.02), _one(120, np.uint8))
    w_zero_point = np.zeros(w_scale.shape, np.int8)
    inputs = (*x, weights, w_scale, w_zero_point, _one(0.9), y_zero_point, *bias)
    return _integer("QLinearConv", *inputs, **attributes)


_TRANSPOSED = _U8.swapaxes(2, 3).copy()
_ROWS = np.full((2, 4), 0.02, np.float32)
_BLOCKS = np.full((2, 4, 3, 3), 0.02, np.float32)

QUANTISATIONS = [
    _integer("QuantizeLinear", _X, _one(0.013), _one(100, np.uint8), opset=10),
    _integer("QuantizeLinear", _X, _one(0.03), _one(-5, np.int8), opset=13),
    _integer("QuantizeLinear", _X, _SCALES, np.arange(6, dtype=np.int8), opset=13, axis=1),
    _integer("QuantizeLinear", _X, _one(0.0001), _one(7, np.uint16)),
    _integer("QuantizeLinear", _X, _one(0.03), output_dtype=onnx.TensorProto.INT8),
    _integer("QuantizeLinear", (6, 4), _ROWS, axis=0, block_size=3),
    _integer("QuantizeLinear", floats(-2.5, -1.5, 0.5, 1.5, 1e30, -1e30), _one(1), _one(0, np.int8)),
    _integer("DequantizeLinear", _U8, _one(0.013), _one(100, np.uint8), opset=10),
    _integer("DequantizeLinear", _I8, _SCALES, np.arange(6, dtype=np.int8), opset=13, axis=0),
    _integer("DequantizeLinear", _I8, _one(0.5), opset=19),
    _integer("DequantizeLinear", np.array([-(2**31), 2**24 + 1, 7], np.int32), _one(0.001)),
    _integer("DequantizeLinear", _I8, _BLOCKS, axis=0, block_size=3),
    _integer("DynamicQuantizeLinear", _X, opset=11, outputs=3),
    _integer("DynamicQuantizeLinear", floats(1, 2, 3), opset=11, outputs=3),
    _integer("ConvInteger", _U8, _I8.view(np.uint8), _one(9, np.uint8), _one(3, np.uint8), pads=[1] * 4),
    _integer("MatMulInteger", _U8, _TRANSPOSED, _one(9, np.uint8), _one(3, np.uint8)),
    _qlinear_conv(_I8, _one(0.04), _one(130, np.uint8), pads=[1, 1, 1, 1]),
    _qlinear_conv(_I8, _SCALES, _one(130, np.uint8), np.arange(6, dtype=np.int32) * 1000, strides=[2, 2]),
    _qlinear_conv(_DEPTHWISE, _one(0.04), _one(130, np.uint8), group=4, pads=[1, 1, 1, 1]),
    _integer(
        "QLinearMatMul",
        *(_U8, _one(0.02), _one(9, np.uint8)),
        *(_TRANSPOSED, _one(0.03), _one(3, np.uint8)),
        *(_one(2.1), _one(128, np.uint8)),
    ),
]
