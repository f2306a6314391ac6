"""Adding elements up at indices that are known at run time only: the adjoint of a gather.

By default one ScatterElements with the reduction "add", the cheapest form that is right: onnxruntime's ScatterND adds
slices from several threads without a lock, so that sums at an index that occurs twice get lost now and then (seen with
1.32 on two threads, in one run of 300).

TensorRT and other compilers refuse that reduction, so the portable form multiplies by a one-hot matrix instead: `Equal`
of the indices and a `Range`, then `MatMul`. Its matrix has as many elements as there are indices times places, in
exchange for operators that every runtime has.
"""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from camgraph_exporter.graph.dims import Dim, dims_of
from camgraph_exporter.vjp.axes import one_hot_rows, reshape_to, sizes_of
from camgraph_exporter.vjp.backward import TARGETS, Backward

# Stand for sizes whose product is only known at run time.
_ENTRIES, _PLACES, _SLICE = "entries", "places", "slice"


def add_elements(op: Backward, g: ir.Value, indices: ir.Value, x: ir.Value, axis: int) -> ir.Value:
    """Return zeros [T, *x] with each element of `g` added at its index along `axis` of x.

    The adjoint of GatherElements. g: [T, *indices], all elements; indices: int [*indices], which may be smaller than x
    on the other axes.
    """
    if not op.portable:
        return op.ScatterElements(op.zeros_like(x, g), for_each_target(op, indices), g, axis=axis + 1, reduction="add")
    rank = len(dims_of(x))
    last = [*(i for i in range(rank) if i != axis), axis]
    moved = op.Transpose(indices, perm=last) if axis != rank - 1 else indices
    chosen = one_hot_rows(op, moved, op.size_vector(x, axis), g)
    rows = op.Transpose(g, perm=[0, *(i + 1 for i in last)]) if axis != rank - 1 else g
    summed = op.Squeeze(op.MatMul(op.Unsqueeze(rows, op.ints(-2)), chosen), op.ints(-2))
    summed.shape = ir.Shape([TARGETS, *(dims_of(indices)[i] for i in last[:-1]), dims_of(x)[axis]])
    back = sorted(range(rank), key=last.__getitem__)
    whole = op.Transpose(summed, perm=[0, *(i + 1 for i in back)]) if axis != rank - 1 else summed
    for other in last[:-1]:
        missing = op.Sub(op.size_vector(x, other), op.size_vector(indices, other))
        whole = op.pad_axis(whole, other + 1, op.ints(0), missing)
    return whole


def add_slices(op: Backward, g: ir.Value, indices: ir.Value, x: ir.Value, batch_dims: int) -> ir.Value:
    """Return zeros [T, *x] with each slice of `g` added at its index tuple; the adjoint of GatherND.

    g: [T, *batch, *entries, *slice], all elements; indices: int64 [*batch, *entries, k], a tuple for the k axes of x
    after the first `batch_dims`; the slice has the remaining axes of x.
    """
    count = int(dims_of(indices)[-1])
    batch, indexed = range(batch_dims), range(batch_dims, batch_dims + count)
    places = _flat_places(op, indices, x, batch_dims)
    slice_size = _product(op, x, range(batch_dims + count, len(dims_of(x))))
    sizes = [op.ints(*[0] * (batch_dims + 1)), op.ints(-1), slice_size]
    leading, width = (TARGETS, *(dims_of(x)[axis] for axis in batch)), _known(op, slice_size, _SLICE)
    rows = reshape_to(op, g, sizes, (*leading, _ENTRIES, width))
    if not op.portable:
        zeros = reshape_to(op, op.zeros_like(x, g), sizes, (*leading, _PLACES, width))
        repeated = op.Expand(op.Unsqueeze(places, op.ints(-1)), op.shape_of(rows))
        return op.shaped(op.ScatterElements(zeros, repeated, rows, axis=batch_dims + 1, reduction="add"), x)
    chosen = one_hot_rows(op, places, _product(op, x, indexed), g)
    swapped = op.Transpose(chosen, perm=[*batch, batch_dims + 1, batch_dims])
    return op.shaped(op.MatMul(swapped, rows), x)


def _flat_places(op: Backward, indices: ir.Value, x: ir.Value, batch_dims: int) -> ir.Value:
    """Turn index tuples into one index each, into the indexed axes of `x` laid out in one: int64 [*batch, entries]."""
    rank, count = len(dims_of(indices)), int(dims_of(indices)[-1])
    places: ir.Value | None = None
    for i in range(count):
        size = op.size_vector(x, batch_dims + i)
        entry = op.Gather(indices, op.ints(i), axis=rank - 1)
        from_start = op.Where(op.Less(entry, 0), op.Add(entry, size), entry)
        places = from_start if places is None else op.Add(op.Mul(places, size), from_start)
    assert places is not None, "Index tuples have at least one entry."
    return reshape_to(op, places, [op.ints(*[0] * batch_dims, -1)], (*dims_of(indices)[:batch_dims], _ENTRIES))


def _product(op: Backward, x: ir.Value, axes: Sequence[int]) -> ir.Value:
    """Return the product of some sizes of `x` as int64 [1]."""
    product = op.ints(1)
    for axis in axes:
        product = op.Mul(product, op.size_vector(x, axis))
    return product


def _known(op: Backward, size: ir.Value, otherwise: str) -> Dim:
    known = op.known(size)
    return otherwise if known is None else int(known[0])


# --- the axis of targets beside indices, which have none ---------------------------------------------------------


def for_each_target(op: Backward, indices: ir.Value) -> ir.Value:
    """Repeat indices for every target: [T, *indices]."""
    repeated = op.Expand(indices, op.join([op.targets, *sizes_of(op, indices, range(len(dims_of(indices))))]))
    repeated.shape = ir.Shape([TARGETS, *dims_of(indices)])
    return repeated


def targets_last(op: Backward, g: ir.Value) -> ir.Value:
    """Move the axis of targets after all others."""
    rank = len(dims_of(g))
    return op.Transpose(g, perm=[*range(1, rank), 0])


def targets_first(op: Backward, g: ir.Value) -> ir.Value:
    """Move the axis of targets back to the front."""
    rank = len(dims_of(g))
    return op.Transpose(g, perm=[rank - 1, *range(rank - 1)])
