"""Rotary position embeddings (Su et al. 2021, RoFormer, arXiv:2104.09864): pairs of features are turned by an angle."""

from __future__ import annotations

import onnx_ir as ir

from camgraph_exporter.errors import LATER_LAYER, GradientError
from camgraph_exporter.graph.dims import dims_of
from camgraph_exporter.graph.node import NodeView
from camgraph_exporter.vjp.backward import Backward
from camgraph_exporter.vjp.registry import Cotangents, vjp

# Cuts to the end of an axis of any length.
_END = 2**31 - 1


@vjp("RotaryEmbedding", opset=23)
def rotary_embedding(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """Dx = g turned back: dx1 = cos g1 + sin g2, dx2 = cos g2 - sin g1; features after the rotary ones pass."""
    partial, interleaved = node.attr_int("rotary_embedding_dim", 0), node.attr_flag("interleaved")
    cosine, sine = _per_token(op, node, 1), _per_token(op, node, 2)
    # The angles differ from token to token, so what is turned has all tokens; what is not turned must match it.
    h = op.full(g, node.y, None if partial else [-1])
    if node.rank == 3:
        h = op.Reshape(h, op.ints(0, 0, 0, node.attr_int("num_heads"), -1))
    size = partial or _head_size(node)
    first, second = _pairs(op, h, size, interleaved)
    dx1 = op.Add(op.Mul(first, cosine), op.Mul(second, sine))
    dx2 = op.Sub(op.Mul(second, cosine), op.Mul(first, sine))
    dx = _woven(op, dx1, dx2) if interleaved else op.Concat(dx1, dx2, axis=-1)
    dx = op.Concat(dx, _cut(op, h, size, _END), axis=-1) if partial else dx
    return op.Reshape(dx, op.ints(0, 0, 0, -1)) if node.rank == 3 else dx


def _head_size(node: NodeView) -> int:
    features = dims_of(node.x)[-1]
    if not isinstance(features, int):
        raise GradientError(
            f"The head size of RotaryEmbedding node {node.name!r} is not known before it runs. {LATER_LAYER}."
        )
    return features if node.rank == 4 else features // node.attr_int("num_heads")


def _per_token(op: Backward, node: NodeView, index: int) -> ir.Value:
    """Return cosines or sines of each token's angles so that they broadcast over the heads of x."""
    table, positions = node.input(index), node.optional(3)
    angles = table if positions is None else op.Gather(table, positions, axis=0)
    return op.Unsqueeze(angles, op.ints(1 if node.rank == 4 else 2))


def _pairs(op: Backward, h: ir.Value, size: int, interleaved: bool) -> tuple[ir.Value, ir.Value]:
    """Return the first and the second features of the pairs that are turned together."""
    if interleaved:
        return _cut(op, h, 0, size, 2), _cut(op, h, 1, size, 2)
    return _cut(op, h, 0, size // 2), _cut(op, h, size // 2, size)


def _cut(op: Backward, h: ir.Value, start: int, stop: int, step: int = 1) -> ir.Value:
    return op.Slice(h, op.ints(start), op.ints(stop), op.ints(-1), op.ints(step))


def _woven(op: Backward, first: ir.Value, second: ir.Value) -> ir.Value:
    """Put two tensors' features side by side: 1st of the one, 1st of the other, 2nd of the one, ..."""
    beside = op.Concat(op.Unsqueeze(first, op.ints(-1)), op.Unsqueeze(second, op.ints(-1)), axis=-1)
    return op.Reshape(beside, op.ints(0, 0, 0, 0, -1))
