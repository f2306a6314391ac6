"""Operators that rearrange or repeat elements without changing them."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from camgraph_exporter.errors import LATER_LAYER, GradientError
from camgraph_exporter.graph.dims import dims_of
from camgraph_exporter.graph.node import NodeView
from camgraph_exporter.vjp.axes import reshape_to
from camgraph_exporter.vjp.backward import Backward
from camgraph_exporter.vjp.registry import Cotangents, vjp


@vjp("Identity")
def identity(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """Dx = g."""
    return g


@vjp("Dropout")
def dropout(op: Backward, node: NodeView, g: ir.Value | None, _mask: ir.Value | None = None) -> Cotangents:
    """Dx = g: in inference mode Dropout is the identity."""
    training = node.const(2)
    if node.optional(2) is not None and (training is None or bool(training)):
        raise GradientError(
            f"Dropout node {node.name!r} is in training mode, where it drops elements at random. "
            f"{LATER_LAYER}, or export the model in evaluation mode."
        )
    return g


@vjp("Reshape", "Flatten", "Squeeze", "Unsqueeze")
def reshape(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """Dx = g in the shape of x; axes that stay together may stay un-expanded."""
    return op.reshaped(g, node.y, node.x)


@vjp("Transpose")
def transpose(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """Dx = g with the inverse permutation."""
    perm = node.attr_ints("perm", range(node.rank)[::-1])
    inverse = np.argsort(perm)
    return op.Transpose(g, perm=[0, *(int(axis) + 1 for axis in inverse)])


@vjp("Expand", broadcasts=True)
def expand(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """Dx = g, summed over the axes along which x was repeated."""
    return g


@vjp("Tile")
def tile(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """Dx = the sum over all copies."""
    x, y, repeats = node.x, node.y, node.input(1)
    tiled = [axis for axis in range(node.rank) if not _is_single(node, axis)]
    lazy = [axis for axis in tiled if not op.is_full(g, y, [axis])]
    split = [axis for axis in tiled if axis not in lazy]
    for axis in lazy:
        g = op.Mul(g, op.cast(_element(op, repeats, axis), g.dtype or ir.DataType.FLOAT))
    if not split:
        return g
    sizes, dims, summed = [op.ints(*[0] * (split[0] + 1))], list(dims_of(g)[: split[0] + 1]), []
    for axis in range(split[0], node.rank):
        if axis in split:
            summed.append(len(dims))
            sizes, dims = [*sizes, _element(op, repeats, axis)], [*dims, f"repeats{axis}"]
        like, place = (x, axis) if axis in split else (g, axis + 1)
        sizes, dims = [*sizes, op.size_vector(like, place)], [*dims, dims_of(like)[place]]
    return op.sum(reshape_to(op, g, sizes, dims), summed)


def _is_single(node: NodeView, axis: int) -> bool:
    repeats = node.const(1)
    return repeats is not None and int(repeats[axis]) == 1


def _element(op: Backward, vector: ir.Value, index: int) -> ir.Value:
    """Return one element of an int64 vector as int64 [1]."""
    return op.Slice(vector, op.ints(index), op.ints(index + 1))


@vjp("DepthToSpace")
def depth_to_space(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """Dx = g, each block of places back in the channels."""
    x, y, block = node.x, node.y, node.attr_int("blocksize")
    channels, height, width = dims_of(y)[1], dims_of(x)[2], dims_of(x)[3]
    g = op.full(g, y)
    sizes = [
        op.ints(0, 0),
        op.size_vector(y, 1),
        op.size_vector(x, 2),
        op.ints(block),
        op.size_vector(x, 3),
        op.ints(block),
    ]
    blocks = reshape_to(op, g, sizes, (*dims_of(g)[:2], channels, height, block, width, block))
    depth_first = node.attr_text("mode", "DCR") == "DCR"
    return op.shaped(op.Transpose(blocks, perm=[0, 1, 4, 6, 2, 3, 5] if depth_first else [0, 1, 2, 4, 6, 3, 5]), x)


@vjp("SpaceToDepth")
def space_to_depth(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """Dx = DepthToSpace(g)."""
    return op.unflat(op.DepthToSpace(op.flat(g, node.y), blocksize=node.attr_int("blocksize")), node.x)


@vjp("ReverseSequence")
def reverse_sequence(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """Dx = the same sequences of g reversed again; the operator wants batch and time in front, so targets go last."""
    batch, time = node.attr_int("batch_axis", 1), node.attr_int("time_axis", 0)
    rank = node.rank
    last = op.Transpose(op.full(g, node.y, [batch, time]), perm=[*range(1, rank + 1), 0])
    reversed_ = op.ReverseSequence(last, node.input(1), batch_axis=batch, time_axis=time)
    return op.Transpose(reversed_, perm=[rank, *range(rank)])
