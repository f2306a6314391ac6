"""Linear maps along one axis of a cotangent, and slices and reshapes that note the shape of their result.

Whether a cotangent is un-expanded along an axis is read off its shape, so a shape that inference cannot see is noted.
"""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from camgraph_exporter.graph.dims import Dim, dims_of, unknown
from camgraph_exporter.vjp.backward import Backward, dtype_of


def reshape_to(op: Backward, x: ir.Value, sizes: Sequence[ir.Value], dims: Sequence[Dim]) -> ir.Value:
    """Reshape `x` to the joined int64 vectors `sizes`, and note the dimensions of the result."""
    result = op.Reshape(x, op.join(sizes))
    result.shape = ir.Shape(dims)
    return result


def sizes_of(op: Backward, x: ir.Value, axes: Sequence[int]) -> list[ir.Value]:
    """Return dimensions of `x`, each as int64 [1]."""
    return [op.size_vector(x, axis) for axis in axes]


def slice_axis(op: Backward, g: ir.Value, place: int, start: ir.Value, stop: ir.Value) -> ir.Value:
    """Take the elements from `start` up to `stop` (int64 [1]) of one axis; the other axes keep their dimensions."""
    result = op.Slice(g, start, stop, op.ints(place))
    taken = dims_of(result)[place] if result.shape is not None else unknown()
    result.shape = ir.Shape([taken if i == place else dim for i, dim in enumerate(dims_of(g))])
    return result


def multiply_axis(op: Backward, g: ir.Value, matrix: ir.Value, place: int) -> ir.Value:
    """Multiply axis `place` of `g`, of length m, by `matrix` [m, n]: that axis gets the length n."""
    dims = dims_of(g)
    if place == len(dims) - 1:
        return op.MatMul(g, matrix)
    columns = op.Transpose(matrix, perm=[1, 0])
    if place == len(dims) - 2:
        return op.MatMul(columns, g)
    front, after = op.ints(*[0] * (place + 1)), range(place + 1, len(dims))
    product = op.MatMul(columns, op.Reshape(g, op.join([front, op.ints(-1)])))
    return reshape_to(
        op, product, [front, *sizes_of(op, g, after)], (*dims[:place], dims_of(matrix)[1], *dims[place + 1 :])
    )


def one_hot_rows(op: Backward, indices: ir.Value, count: ir.Value, like: ir.Value) -> ir.Value:
    """Return the matrix [..., m, n] with a one at each of the `indices` (integers [..., m], negative from the end).

    `count` is n as int64 [1]; the element type is that of `like`. A product with it adds up what a gather took, without
    the scatter with reduction that some runtimes refuse.
    """
    indices = op.cast(indices, ir.DataType.INT64)
    from_start = op.Where(op.Less(indices, 0), op.Add(indices, count), indices)
    matches = op.Equal(op.Unsqueeze(from_start, op.ints(-1)), op.arange(count))
    return op.cast(matches, dtype_of(like))


def identity_matrix(op: Backward, count: ir.Value, like: ir.Value) -> ir.Value:
    """Return the unit matrix [n, n] in the element type of `like`; `count` is n as int64 [1]."""
    places = op.arange(count)
    return op.cast(op.Equal(op.Unsqueeze(places, op.ints(1)), places), dtype_of(like))
