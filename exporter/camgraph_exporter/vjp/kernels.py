"""A convolution's weights as its gradient wants them: nodes on an initializer, not a second copy of it.

Runtimes fold these nodes when they load the file.
"""

from __future__ import annotations

import onnx_ir as ir

from camgraph_exporter.graph.dims import dims_of
from camgraph_exporter.vjp.backward import Backward


def swapped(op: Backward, w: ir.Value, group: int) -> ir.Value:
    """Swap input and output channels inside each group: [M, C/g, *k] to [C, M/g, *k]."""
    m, c, *kernel = static_sizes(w)
    axes = range(3, 3 + len(kernel))
    if group == 1:
        return op.Transpose(w, perm=[1, 0, *range(2, 2 + len(kernel))])
    if c == 1 and m == group:
        return w
    grouped = op.Reshape(w, op.ints(group, m // group, c, *kernel))
    return op.Reshape(op.Transpose(grouped, perm=[0, 2, 1, *axes]), op.ints(group * c, m // group, *kernel))


def flipped(op: Backward, w: ir.Value) -> ir.Value:
    """Reverse the spatial axes."""
    axes = [axis for axis, size in enumerate(static_sizes(w)) if axis >= 2 and size != 1]
    if not axes:
        return w
    first, last = [-1] * len(axes), [-(2**31)] * len(axes)
    return op.Slice(w, op.ints(*first), op.ints(*last), op.ints(*axes), op.ints(*[-1] * len(axes)))


def static_sizes(w: ir.Value) -> list[int]:
    """Return the shape of weights [M, C / group, *kernel]."""
    dims = [dim for dim in dims_of(w) if isinstance(dim, int)]
    assert len(dims) == len(dims_of(w)), "A convolution's weights have a static shape."
    return dims
