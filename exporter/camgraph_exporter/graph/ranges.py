"""Bounds that the values of a graph cannot leave, as far as the operators in front of them say so (interval arithmetic).

A quantiser may clip what lies beyond its integer type. Where the bounds show that nothing can lie there, as behind a pooling of values that have been
quantised by the same scale, an integer at the end of its range is an ordinary value.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import onnx_ir as ir

from camgraph_exporter.graph.quantisation import (
    MOVES,
    SMALL_INTEGERS,
    Quantisation,
    is_dequantiser,
    is_quantiser,
    quantisation_of,
    real_form,
)

Range = tuple[float, float]
# Returns the elements of a value that is the same in every run, else None.
Known = Callable[[ir.Value | None], np.ndarray | None]

UNKNOWN: Range = (-math.inf, math.inf)
# Walking back further costs more than the knowledge is worth.
_DEPTH = 16

# Each output element is a (weighted) mean or a choice of input elements.
_MEANS = MOVES | {"MaxPool", "GlobalMaxPool", "GlobalAveragePool", "ReduceMean", "ReduceMax", "ReduceMin"}
_FIXED: dict[str, Range] = {
    "Sigmoid": (0.0, 1.0), "HardSigmoid": (0.0, 1.0), "Softmax": (0.0, 1.0), "Tanh": (-1.0, 1.0), "Erf": (-1.0, 1.0), "Softsign": (-1.0, 1.0),
}  # fmt: skip


def range_of(value: ir.Value, known: Known, depth: int = _DEPTH) -> Range:
    """Return (low, high) of the real numbers that a value holds or, for quantised integers, stands for."""
    if value.dtype in SMALL_INTEGERS:
        found = quantisation_of(value)
        return integer_range(value.dtype, found, known) if found is not None and value.dtype is not None else UNKNOWN
    node = value.producer()
    if node is None or depth == 0 or (node.domain and not is_dequantiser(node)):
        return UNKNOWN
    operands = [x for x in node.inputs if x is not None]
    return _after(node, lambda: [range_of(x, known, depth - 1) for x in operands], known)


def integer_range(dtype: ir.DataType, quantisation: Quantisation, known: Known) -> Range:
    """Return the smallest and the largest real number that an integer type can stand for."""
    scales = [known(scale) for scale in quantisation.scales]
    zero_point = known(quantisation.zero_point) if quantisation.zero_point is not None else np.zeros(())
    if not scales or zero_point is None or any(scale is None for scale in scales):
        return UNKNOWN
    step = np.prod([np.asarray(scale, np.float64) for scale in scales if scale is not None], axis=0) * quantisation.factor
    limits = np.iinfo(dtype.numpy())
    offset = np.asarray(zero_point, np.float64)
    return float(((limits.min - offset) * step).min()), float(((limits.max - offset) * step).max())


def may_clip(node: ir.Node, known: Known) -> tuple[bool, bool]:
    """Tell whether a quantising node may have clipped its result at the lower and at the upper end of the integer type."""
    q = node.outputs[0]
    found = quantisation_of(q)
    if found is None or q.dtype is None:
        return True, True
    low, high = _unquantised_range(node, known)
    bottom, top = integer_range(q.dtype, found, known)
    scale = known(found.scales[0]) if found.scales else None
    # What rounds to the last integer has not been clipped.
    slack = 0.5 * float(np.min(scale)) if scale is not None else 0.0
    return not low >= bottom - slack, not high <= top + slack


def _unquantised_range(node: ir.Node, known: Known) -> Range:
    """Return the bounds of what a quantising node rounds."""
    if is_quantiser(node):
        return range_of(node.inputs[0], known) if node.inputs[0] is not None else UNKNOWN
    form = real_form(node)
    if form is None:
        return UNKNOWN
    ranges = [integer_range(x.value.dtype, x.quantisation, known) for x in form.operands if x.value.dtype in SMALL_INTEGERS]
    return _image(form.op_type, ranges, include_zero=_pads_with_zero(node))


def _after(node: ir.Node, operands: Callable[[], list[Range]], known: Known) -> Range:
    if is_dequantiser(node):
        return operands()[0]
    if node.op_type == "Clip":
        low, high = operands()[0]
        bounds = [known(x) if x is not None else None for x in (*node.inputs[1:3], None, None)[:2]]
        bottom, top = (float(bound) if bound is not None and bound.size == 1 else None for bound in bounds)
        return (low if bottom is None else max(low, bottom)), (high if top is None else min(high, top))
    if node.op_type == "Concat":
        return _image("Concat", operands())
    ranges = operands()[:1] if node.op_type in _MEANS | {"Relu", "AveragePool", "Cast"} else []
    return _image(node.op_type, ranges, include_zero=_pads_with_zero(node))


def _image(op_type: str, ranges: list[Range], *, include_zero: bool = False) -> Range:
    """Return the bounds of an operator's result from those of its operands."""
    if op_type in _FIXED:
        return _FIXED[op_type]
    if not ranges:
        return UNKNOWN
    low, high = min(low for low, _ in ranges), max(high for _, high in ranges)
    if op_type == "Relu":
        return max(low, 0.0), max(high, 0.0)
    if op_type in _MEANS or op_type == "Cast":
        return low, high
    if op_type == "AveragePool":
        return (min(low, 0.0), max(high, 0.0)) if include_zero else (low, high)
    return UNKNOWN


def _pads_with_zero(node: ir.Node) -> bool:
    attribute = node.attributes.get("count_include_pad")
    return attribute is not None and bool(attribute.value)
