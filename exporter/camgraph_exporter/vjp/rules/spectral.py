"""The discrete Fourier transform, as global filter networks use it (Rao et al. 2021, arXiv:2107.00645).

Complex numbers are pairs (real, imaginary) on the last axis. The transform F is linear, so the cotangent goes through
its conjugate transpose, which is the other direction without the factor 1 / L, L being the length.
"""

from __future__ import annotations

import onnx_ir as ir

from camgraph_exporter.graph.dims import dims_of
from camgraph_exporter.graph.node import NodeView
from camgraph_exporter.vjp.axes import slice_axis
from camgraph_exporter.vjp.backward import Backward
from camgraph_exporter.vjp.registry import Cotangents, vjp

# From this version on, the axis is an input, and a one-sided transform may be inverse.
_AXIS_IS_INPUT = 20


@vjp("DFT", opset=17)
def dft(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """Y = F x: dx = L F^-1 g; y = F^-1 x: dx = F g / L. One-sided frequencies count once forward and twice inverse."""
    axis, last = _axis(node), node.rank - 1
    inverse, onesided = node.attr_flag("inverse"), node.attr_flag("onesided")
    g = op.full(g, node.y, [axis, last])
    if inverse:
        length = op.size_vector(node.y, axis)
        dx = op.Div(_transform(op, g, length, axis, onesided=int(onesided)), op.number(length, g))
        dx = op.Mul(dx, _counts(op, length, like=g, axes_after=last - axis)) if onesided else dx
    else:
        length = _length(op, node, axis)
        dx = op.Mul(_transform(op, g, length, axis, inverse=1), op.number(length, g))
    if dims_of(node.x)[last] == 1:
        dx = slice_axis(op, dx, last + 1, op.ints(0), op.ints(1))
    # The forward transform cut its input to the length, or put zeros after it.
    missing = op.Sub(op.size_vector(node.x, axis), op.size_vector(dx, axis + 1))
    return op.pad_axis(dx, axis + 1, op.ints(0), missing)


def _axis(node: NodeView) -> int:
    if node.opset < _AXIS_IS_INPUT:
        return node.attr_int("axis", 1) % node.rank
    known = node.const(2)
    return (-2 if known is None else int(known)) % node.rank


def _length(op: Backward, node: NodeView, axis: int) -> ir.Value:
    """Return L, int64 [1]: stated, or the length of the signal."""
    stated = node.optional(1)
    if stated is None:
        return op.size_vector(node.x, axis)
    return op.Reshape(op.cast(stated, ir.DataType.INT64), op.ints(1))


def _transform(op: Backward, g: ir.Value, length: ir.Value, axis: int, **options: int) -> ir.Value:
    """Transform the cotangent [T, ...] along `axis` of its value; both directions put zeros after it."""
    size = op.Squeeze(length, op.ints(0))
    if op.opset < _AXIS_IS_INPUT:
        result = op.DFT(g, size, axis=axis + 1, **options)
    else:
        place = op.Squeeze(op.ints(axis + 1), op.ints(0))
        result = op.DFT(g, size, place, **options)
    known, bins = op.known(length), f"{dims_of(g)[axis + 1]}_bins"
    count = bins if known is None else int(known[0]) // 2 + 1 if options.get("onesided") else int(known[0])
    dims = dims_of(g)
    result.shape = ir.Shape([*dims[: axis + 1], count, *dims[axis + 2 : -1], 2])
    return result


def _counts(op: Backward, length: ir.Value, *, like: ir.Value, axes_after: int) -> ir.Value:
    """Return how often a one-sided inverse transform reads each frequency: once at zero and at L / 2, else twice."""
    half = op.Add(op.Div(length, op.ints(2)), op.ints(1))
    frequencies = op.arange(half)
    alone = op.Or(op.Equal(frequencies, op.ints(0)), op.Equal(op.Mul(frequencies, op.ints(2)), length))
    counts = op.Sub(op.ints(2), op.cast(alone, ir.DataType.INT64))
    return op.Reshape(op.number(counts, like), op.ints(-1, *[1] * axes_after))
