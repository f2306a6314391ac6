"""How far a trained model's outputs may change when a graph gets further readers of its inner values."""

from __future__ import annotations

import onnx
from onnx import TensorProto

# Rounding of float32 sums in another order.
_FLOAT32 = 1e-6
# One step of a number near one. onnxruntime has few kernels for half precision on CPU: it computes in float32 and
# rounds where a value is read in its own type.
_HALF: dict[int, float] = {TensorProto.FLOAT16: 2.0**-10}
# A few steps of 8 bits. On x86 onnxruntime turns signed 8-bit activations into unsigned ones, but only those with a
# single reader; around the others it computes in float32, and roundings fall otherwise. So they do within the trained
# model itself, with and without optimisation.
_SIGNED = 8 / 256


def output_tolerance(model: onnx.ModelProto) -> float:
    """Return the largest change of an output, relative to its largest element, that is rounding and no fault."""
    signed = [_SIGNED] if _has_signed_activations(model) else []
    return max([_FLOAT32, *signed, *(_HALF[dtype] for dtype in half_types(model))])


def half_types(model: onnx.ModelProto) -> set[int]:
    """Return the element types of half precision that a model's weights have."""
    return {tensor.data_type for tensor in model.graph.initializer} & _HALF.keys()


def _has_signed_activations(model: onnx.ModelProto) -> bool:
    signed = {tensor.name for tensor in model.graph.initializer if tensor.data_type == TensorProto.INT8}
    quantisers = (node for node in model.graph.node if node.op_type == "QuantizeLinear")
    return any(len(node.input) > 2 and node.input[2] in signed for node in quantisers)
