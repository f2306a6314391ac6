"""Where a quantiser may have clipped: bounds that the values before it cannot leave (interval arithmetic).

An integer at the end of its type may stand for anything beyond. Quantisation tools make use of that: they drop a ReLU
or ReLU6 after a convolution, a product or a sum, and let the quantiser clip instead. After a pooling or a mere move
there is no activation to take the place of. A sum of numbers that are not negative was not negative before it was
quantised. There an integer at the end is an ordinary value.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import onnx_ir as ir

from camgraph_exporter.graph.element_types import SMALL_INTEGERS
from camgraph_exporter.graph.traits import Operator, Trait, has, named, of
from camgraph_exporter.quantised.forms import (
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
_DEPTH = 12

# No tool lets the quantiser after one of these, or after one whose result is bounded, take the place of an activation.
_NEVER_CLIPPED = Trait.MOVES | Trait.ACTIVATION | Trait.RESAMPLES


def may_clip(node: ir.Node, known: Known) -> tuple[bool, bool]:
    """Tell whether a quantising node may have clipped its result at the lower and the upper end of the integer type."""
    q, found = node.outputs[0], quantisation_of(node.outputs[0])
    operator, operands = _rounded(node)
    if _is_never_clipped(operator):
        return False, False
    if found is None or q.dtype is None:
        return True, True
    low, high = _image(operator, [range_of(value, known) for value in operands])
    bottom, top = integer_range(q.dtype, found, known)
    scale = known(found.scales[0]) if found.scales else None
    # What rounds to the last integer has not been clipped.
    slack = 0.5 * float(np.min(scale)) if scale is not None else 0.0
    return not low >= bottom - slack, not high <= top + slack


def range_of(value: ir.Value, known: Known, depth: int = _DEPTH) -> Range:
    """Return (low, high) of the real numbers that a value holds or, for quantised integers, stands for."""
    array = known(value) if value.dtype not in SMALL_INTEGERS else None
    if array is not None and array.size and np.issubdtype(array.dtype, np.floating):
        return float(array.min()), float(array.max())
    node = value.producer()
    if value.dtype in SMALL_INTEGERS:
        found = quantisation_of(value)
        return integer_range(value.dtype, found, known) if found is not None and value.dtype is not None else UNKNOWN
    if node is None or depth == 0 or (node.domain and not is_dequantiser(node)):
        return UNKNOWN
    if is_dequantiser(node):
        return range_of(node.inputs[0], known, depth - 1) if node.inputs[0] is not None else UNKNOWN
    if node.op_type == "Clip":
        return _clipped(node, known)
    if node.op_type == "Pad" and len(node.inputs) > 2:
        return UNKNOWN
    operands = [x for x in node.inputs if x is not None]
    operands = operands if has(node, Trait.ARITHMETIC | Trait.JOINS) else operands[:1]
    return _image(of(node), [range_of(x, known, depth - 1) for x in operands])


def integer_range(dtype: ir.DataType, quantisation: Quantisation, known: Known) -> Range:
    """Return the smallest and the largest real number that an integer type can stand for."""
    scales = [known(scale) for scale in quantisation.scales]
    zero_point = known(quantisation.zero_point) if quantisation.zero_point is not None else np.zeros(())
    if not scales or zero_point is None or any(scale is None for scale in scales):
        return UNKNOWN
    steps = [np.asarray(scale, np.float64) for scale in scales if scale is not None]
    step = math.prod(steps, start=np.asarray(quantisation.factor))
    limits, offset = np.iinfo(dtype.numpy()), np.asarray(zero_point, np.float64)
    return float(((limits.min - offset) * step).min()), float(((limits.max - offset) * step).max())


def _is_never_clipped(operator: Operator) -> bool:
    if operator.traits & _NEVER_CLIPPED or operator.bounds is not None:
        return True
    # A pooling, a mean or a padding, but neither the maximum of two maps nor a cast, which an activation may follow.
    return bool(operator.traits & Trait.KEEPS_RANGE) and not operator.traits & Trait.ELEMENTWISE


def _rounded(node: ir.Node) -> tuple[Operator, list[ir.Value]]:
    """Return the operator whose result a quantising node rounds, and its operands."""
    form = real_form(node)
    if form is not None:
        return named(form.op_type), [operand.value for operand in form.operands]
    source = node.inputs[0]
    maker = source.producer() if source is not None and is_quantiser(node) else None
    if maker is None:
        return named(""), []
    if is_dequantiser(maker):
        return named("Identity"), []
    return of(maker), [x for x in maker.inputs if x is not None]


def _clipped(node: ir.Node, known: Known) -> Range:
    bounds = [known(x) if x is not None else None for x in (*node.inputs[1:3], None, None)[:2]]
    low, high = (float(bound) if bound is not None and bound.size == 1 else None for bound in bounds)
    return (-math.inf if low is None else low), (math.inf if high is None else high)


def _image(operator: Operator, ranges: Sequence[Range]) -> Range:
    """Return the bounds of an operator's result from those of its operands."""
    if not ranges:
        return operator.bounds or UNKNOWN
    low, high = min(low for low, _ in ranges), max(high for _, high in ranges)
    if operator.name == "Relu":
        return max(low, 0.0), max(high, 0.0)
    if operator.bounds is not None:
        return operator.bounds
    if operator.traits & Trait.OR_ZERO:
        return min(low, 0.0), max(high, 0.0)
    if operator.traits & Trait.KEEPS_RANGE:
        return low, high
    if operator.name in {"Add", "Sum"}:
        return sum(low for low, _ in ranges), sum(high for _, high in ranges)
    if operator.name == "Sub":
        return ranges[0][0] - ranges[1][1], ranges[0][1] - ranges[1][0]
    if operator.name == "Mul" and all(math.isfinite(end) for ends in ranges for end in ends):
        products = [a * b for a in ranges[0] for b in ranges[1]]
        return min(products), max(products)
    return (0.0, math.inf) if operator.name == "Mul" and low >= 0 else UNKNOWN
