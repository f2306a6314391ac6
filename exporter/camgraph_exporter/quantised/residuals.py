"""Forward values as the backward part reads them: real numbers, in a type wide enough, and the forward undisturbed.

- A value that is quantised at once is not read. The deployed runtime computes it and its integers in one step, which
  another reader would break apart, and the prediction would change. It is computed again where that is cheap, else read
  after its dequantiser.
- Quantised weights become real numbers by arithmetic on the integers. Runtimes compute that once, when they load the
  file, which onnxruntime does not do for DequantizeLinear. The file keeps one copy of the weights.
- float16 and bfloat16 become float32, so that gradients neither overflow nor vanish.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import onnx_ir as ir

from camgraph_exporter.graph.dims import dims_of
from camgraph_exporter.graph.element_types import SMALL_INTEGERS
from camgraph_exporter.graph.emitter import Emitter
from camgraph_exporter.graph.traits import Trait, has
from camgraph_exporter.graph.walk import depends_on_no_input, required
from camgraph_exporter.quantised.forms import (
    Quantisation,
    dequantised,
    is_dequantiser,
    quantisation_of,
    quantised_twin,
    stated_by,
)
from camgraph_exporter.quantised.ranges import Known

_HALF = {ir.DataType.FLOAT16, ir.DataType.BFLOAT16}
_INTEGERS = SMALL_INTEGERS | {ir.DataType.INT32}
# The standard DequantizeLinear takes 16-bit integers from this version on.
_WIDE_DEQUANTISER = 21


class Residuals:
    """Gives the backward part its view of the forward values of a graph."""

    def __init__(self, nodes: Iterable[ir.Node]) -> None:
        values = [value for node in nodes for value in (*node.inputs, *node.outputs) if value is not None]
        twins = ((value, quantised_twin(value)) for value in dict.fromkeys(values) if not value.is_initializer())
        # Before anything is emitted: a reader in the backward part must not hide that the value is only quantised.
        self._twins = {value: twin for value, twin in twins if twin is not None}

    def read(self, op: Emitter, value: ir.Value) -> ir.Value:
        """Return what stands for a forward value in the backward part."""
        twin = self._twins.get(value)
        if twin is not None:
            return self._before_quantiser(op, value, twin)
        node = value.producer()
        if node is not None and is_dequantiser(node) and _is_plain_constant(node):
            return _scaled(op, required(node, 0), stated_by(node))
        return op.Cast(value, to=int(ir.DataType.FLOAT)) if value.dtype in _HALF else value

    def _before_quantiser(self, op: Emitter, value: ir.Value, twin: ir.Value) -> ir.Value:
        """Return a value that is quantised at once: computed again if that is cheap, else as its quantiser gives it."""
        node = value.producer()
        # The derivatives of linear operators do not need the result; a MaxPool's goes by its indices.
        if node is None or node.domain or len(node.outputs) > 1 or has(node, Trait.LINEAR) or node.op_type == "MaxPool":
            return self.read(op, twin)
        if is_absorbed(node):
            return _at_its_bounds(op, node, self.read(op, twin)) if node.op_type == "Clip" else self.read(op, twin)
        inputs = [self._apart(op, x) if x is not None else None for x in node.inputs]
        again = op.emit(node.op_type, inputs, {name: attribute.value for name, attribute in node.attributes.items()})[0]
        again.shape = value.shape
        return again

    def _apart(self, op: Emitter, value: ir.Value) -> ir.Value:
        """Return a value in a form of its own, lest a runtime merge it into a quantised unit with a reader outside."""
        node = value.producer()
        if (
            node is not None
            and is_dequantiser(node)
            and node.inputs[0] is not None
            and "block_size" not in node.attributes
        ):
            return _scaled(op, node.inputs[0], stated_by(node))
        return self.read(op, value)

    def real(self, op: Emitter, q: ir.Value, quantisation: Quantisation | None = None) -> ir.Value:
        """Return the real numbers that an integer value stands for, by the given scale or the graph's own."""
        found = dequantised(q)
        if found is not None and (quantisation is None or _reads_by(found, quantisation)):
            return self.read(op, found)
        quantisation = quantisation or quantisation_of(q)
        assert quantisation is not None, f"Nothing says what the integers of {q.name!r} stand for."
        if depends_on_no_input(q) or not _takes_dequantiser(op, q, quantisation):
            return _scaled(op, q, quantisation)
        result = op.DequantizeLinear(q, quantisation.scales[0], quantisation.zero_point, axis=_axis(q, quantisation))
        return self.read(op, result)


def is_absorbed(node: ir.Node) -> bool:
    """Tell whether a runtime computes an activation in one step with the sum before it and the quantiser after it."""
    if not has(node, Trait.ABSORBED) or node.inputs[0] is None:
        return False
    before = node.inputs[0].producer()
    return before is not None and has(before, Trait.KERNEL) and len(list(node.inputs[0].uses())) == 1


def saturation(node: ir.Node, known: Known) -> tuple[float, float]:
    """Return the bounds between which an absorbed activation passes its input on."""
    if node.op_type == "Relu":
        return 0.0, math.inf
    bounds = [known(x) for x in (*node.inputs[1:3], None, None)[:2]]
    low, high = (None if bound is None else float(bound.reshape(())) for bound in bounds)
    return (-math.inf if low is None else low), (math.inf if high is None else high)


def _at_its_bounds(op: Emitter, node: ir.Node, twin: ir.Value) -> ir.Value:
    """Undo the rounding of a saturating activation's result at its bounds, by which its derivative is told."""
    found = quantisation_of(next(iter(node.outputs[0].uses())).node.outputs[0])
    if found is None or len(found.scales) != 1:
        return twin
    half = op.Mul(scale_along(op, found.scales[0], found.axis, len(dims_of(twin))), 0.5)
    low, high = saturation(node, op.known)
    if math.isfinite(low):
        twin = op.Where(op.LessOrEqual(op.Sub(twin, low), half), np.asarray(low, np.float32), twin)
    if math.isfinite(high):
        twin = op.Where(op.LessOrEqual(op.Sub(high, twin), half), np.asarray(high, np.float32), twin)
    return twin


def scale_along(op: Emitter, scale: ir.Value, axis: int, rank: int) -> ir.Value:
    """Return a scale or zero point as float32 that broadcasts: a vector lies along `axis` of `rank` axes."""
    scale = op.cast(scale, ir.DataType.FLOAT)
    dims = dims_of(scale)
    if len(dims) == 1 and dims[0] != 1:
        return op.Reshape(scale, op.ints(*(-1 if i == axis % rank else 1 for i in range(rank))))
    # One element must not add axes.
    return op.Reshape(scale, op.constant(np.zeros(0, np.int64))) if dims == (1,) else scale


def _scaled(op: Emitter, q: ir.Value, quantisation: Quantisation) -> ir.Value:
    """Emit (q - zero_point) * scale in float32."""
    rank = len(dims_of(q))
    real = op.cast(q, ir.DataType.FLOAT)
    zero_point = quantisation.zero_point
    if zero_point is not None:
        known = op.known(zero_point)
        if known is None or known.any():
            real = op.Sub(real, scale_along(op, zero_point, quantisation.axis, rank))
    for scale in quantisation.scales:
        real = op.Mul(real, scale_along(op, scale, quantisation.axis, rank))
    return op.Mul(real, quantisation.factor) if quantisation.factor != 1 else real


def _is_plain_constant(node: ir.Node) -> bool:
    """Tell whether a dequantiser reads constant integers without blocks: weights."""
    source, block = node.inputs[0], node.attributes.get("block_size")
    blocked = block is not None and bool(block.value)
    return source is not None and source.dtype in _INTEGERS and not blocked and depends_on_no_input(source)


def _reads_by(real: ir.Value, quantisation: Quantisation) -> bool:
    """Tell whether a dequantised value was made by the given scale."""
    node = real.producer()
    return node is not None and (node.inputs[1],) == quantisation.scales and quantisation.factor == 1


def _takes_dequantiser(op: Emitter, q: ir.Value, quantisation: Quantisation) -> bool:
    narrow = q.dtype in {ir.DataType.INT8, ir.DataType.UINT8}
    single = len(quantisation.scales) == 1 and len(dims_of(quantisation.scales[0])) <= 1
    return single and quantisation.factor == 1 and (narrow or op.opset >= _WIDE_DEQUANTISER)


def _axis(q: ir.Value, quantisation: Quantisation) -> int | None:
    """Return the axis of a vector of scales; None lets a single scale keep the default."""
    return None if dims_of(quantisation.scales[0]) in ((), (1,)) else quantisation.axis % len(dims_of(q))
