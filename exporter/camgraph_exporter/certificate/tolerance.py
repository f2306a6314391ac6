"""What rounding alone may change, by what a model computes in."""

from __future__ import annotations

import itertools

import onnx
from onnx import TensorProto

from camgraph_exporter.certificate.layer_to_score import is_quantised
from camgraph_exporter.certificate.subject import Subject

_HALF = {TensorProto.FLOAT16}
# One step of a number near one. onnxruntime has few kernels of half precision on the CPU: it computes in float32, and
# what it rounds depends on who reads a value, with and without optimisation.
_HALF_STEP = 2.0**-10
# Rounding of float32 along a network, where the operators of the forward part are others than the file's.
_REWRITTEN = 1e-5
# Rounding of float32 sums in another order, along a network.
_GRADIENT = 1e-5
_BATCH = 1e-5
# Cotangents are rounded to 11 bits where they pass operators of half precision, and an integer may fall to the next.
_COARSE_GRADIENT = 1e-2
_COARSE_BATCH = 1e-3


def source_tolerance(subject: Subject) -> float:
    """Return how far source outputs may be off where both graphs run operator by operator: not at all, as a rule."""
    if _computes_in_half(subject.model):
        return _HALF_STEP
    return _REWRITTEN if subject.is_rewritten else 0.0


def gradient_tolerance(subject: Subject) -> float:
    """Return the largest distance of onnxruntime's weights from those of float64 that is rounding and no fault."""
    return _COARSE_GRADIENT if _is_coarse(subject) else _GRADIENT


def batch_tolerance(subject: Subject) -> float:
    """Return the largest distance of a batch from its single runs that is rounding and no fault."""
    return _COARSE_BATCH if _is_coarse(subject) else _BATCH


def _is_coarse(subject: Subject) -> bool:
    return is_quantised(subject) or _computes_in_half(subject.model)


def _computes_in_half(model: onnx.ModelProto) -> bool:
    graph = model.graph
    ends = (value.type.tensor_type.elem_type for value in (*graph.input, *graph.output))
    casts = (attribute.i for node in graph.node if node.op_type == "Cast" for attribute in node.attribute)
    weights = (tensor.data_type for tensor in graph.initializer)
    return any(kind in _HALF for kind in itertools.chain(weights, ends, casts))
