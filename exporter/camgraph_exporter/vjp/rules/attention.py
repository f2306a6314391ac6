"""Scaled dot-product attention as one operator.

S = scale Q K^T, capped and masked, P = softmax(S), Y = P V. With the cotangent g of Y (Dao et al. 2022,
FlashAttention, arXiv:2205.14135, appendix B.2): dV = P^T g, dP = g V^T, dS = P (dP - sum(g Y)), dQ = scale dS K,
dK = scale dS^T Q.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from camgraph_exporter.errors import LATER_LAYER, GradientError
from camgraph_exporter.graph.dims import dims_of
from camgraph_exporter.graph.node import NodeView
from camgraph_exporter.vjp.axes import reshape_to, sizes_of
from camgraph_exporter.vjp.backward import Backward, dtype_of
from camgraph_exporter.vjp.registry import Cotangents, refuse_outputs, vjp
from camgraph_exporter.vjp.rules.linear import transposed


@vjp("Attention", opset=23)
def attention(op: Backward, node: NodeView, g: ir.Value | None, *others: ir.Value | None) -> Cotangents:
    """DV = P^T g, dS = P (g V^T - sum(g Y)), dQ = scale dS K, dK = scale dS^T Q, dmask = dS; P is computed again."""
    _refuse_caches(node, others)
    assert g is not None
    heads = _heads(node)
    q, k, v = (_split(op, node, node.input(i), heads.of(i)) for i in range(3))
    k, v, scale = _repeated(op, k, heads), _repeated(op, v, heads), _scale(node, q)
    scaled = op.Mul(q, scale)
    scores, cap_slope = _capped(op, node, op.MatMul(scaled, transposed(op, k)))
    weights = _weights(op, node, scores)

    h = _split(op, node, op.full(g, node.y), heads.query)
    y = _split(op, node, node.y, heads.query)
    d_weights = op.MatMul(h, transposed(op, v))
    d_scores = op.Mul(weights, op.Sub(d_weights, op.sum(op.Mul(h, y), [4], keepdims=True)))
    d_products = d_scores if cap_slope is None else op.Mul(d_scores, cap_slope)

    dq = op.Mul(op.MatMul(d_products, k), scale) if node.needs(0) else None
    dk = _gathered(op, op.MatMul(transposed(op, d_products), scaled), heads) if node.needs(1) else None
    dv = _gathered(op, op.MatMul(transposed(op, weights), h), heads) if node.needs(2) else None
    dmask = op.unbroadcast(d_scores, scores, node.input(3)) if node.needs(3) else None
    return [*(_joined(op, node, d) if d is not None else None for d in (dq, dk, dv)), dmask]


@dataclass(frozen=True)
class _Heads:
    """Numbers of heads; with fewer heads of keys than of queries, each serves a group of neighbouring queries."""

    query: int
    key: int

    @property
    def group(self) -> int:
        """Number of queries that one key serves."""
        return self.query // self.key

    def of(self, index: int) -> int:
        """Return the number of heads of input 0 (queries), 1 (keys) or 2 (values)."""
        return self.query if index == 0 else self.key


def _refuse_caches(node: NodeView, others: tuple[ir.Value | None, ...]) -> None:
    refuse_outputs(node, others)
    if any(node.optional(i) is not None for i in (4, 5, 6)):
        raise GradientError(
            f"Attention node {node.name!r} works on a cache of keys and values, which has no derivative here. "
            f"{LATER_LAYER}, or export the model without the cache."
        )


def _heads(node: NodeView) -> _Heads:
    if node.rank == 3:
        return _Heads(node.attr_int("q_num_heads"), node.attr_int("kv_num_heads"))
    query, key = dims_of(node.x)[1], dims_of(node.input(1))[1]
    if not isinstance(query, int) or not isinstance(key, int):
        raise GradientError(
            f"The number of heads of Attention node {node.name!r} is not known before it runs. {LATER_LAYER}."
        )
    return _Heads(query, key)


def _split(op: Backward, node: NodeView, x: ir.Value, heads: int) -> ir.Value:
    """Bring [.., S, heads * D] to [.., heads, S, D]; nodes of rank 4 have it so already."""
    if node.rank == 4:
        return x
    lead = len(dims_of(x)) - 1
    apart = op.Reshape(x, op.ints(*[0] * lead, heads, -1))
    return op.Transpose(apart, perm=[*range(lead - 1), lead, lead - 1, lead + 1])


def _joined(op: Backward, node: NodeView, d: ir.Value) -> ir.Value:
    """Undo `_split` for a cotangent."""
    if node.rank == 4:
        return d
    return op.Reshape(op.Transpose(d, perm=[0, 1, 3, 2, 4]), op.ints(0, 0, 0, -1))


def _repeated(op: Backward, x: ir.Value, heads: _Heads) -> ir.Value:
    """Repeat each head of keys or values for the queries of its group: [N, heads, L, D]."""
    if heads.group == 1:
        return x
    return op.Gather(x, op.ints(*(i // heads.group for i in range(heads.query))), axis=1)


def _gathered(op: Backward, d: ir.Value, heads: _Heads) -> ir.Value:
    """Undo `_repeated` for a cotangent: sum over each group."""
    if heads.group == 1:
        return d
    rest = sizes_of(op, d, [3, 4])
    dims = dims_of(d)
    grouped = reshape_to(
        op, d, [op.ints(0, 0, heads.key, heads.group), *rest], (*dims[:2], heads.key, heads.group, *dims[3:])
    )
    return op.sum(grouped, [3])


def _scale(node: NodeView, q: ir.Value) -> float:
    """Return the factor of Q K^T: the attribute, or one over the root of the head size."""
    size = dims_of(q)[-1]
    if node.attr("scale") is not None:
        return node.attr_float("scale")
    if not isinstance(size, int):
        raise GradientError(
            f"The head size of Attention node {node.name!r} is not known before it runs. {LATER_LAYER}."
        )
    return 1 / math.sqrt(size)


def _capped(op: Backward, node: NodeView, products: ir.Value) -> tuple[ir.Value, ir.Value | None]:
    """Return c tanh(S / c) and its derivative 1 - tanh^2(S / c), for a cap c that is not zero."""
    cap = node.attr_float("softcap", 0.0)
    if cap == 0:
        return products, None
    t = op.Tanh(op.Mul(products, 1 / cap))
    return op.Mul(t, cap), op.Sub(1, op.Mul(t, t))


def _weights(op: Backward, node: NodeView, scores: ir.Value) -> ir.Value:
    """Return P: the softmax of the masked scores, and zero in a row in which nothing may be attended to.

    Excluded scores are lowered to a finite number: a row of minus infinities would make softmax undefined.
    """
    lowest = float(np.finfo(dtype_of(scores).numpy()).min) / 4
    bias, allowed = _mask(op, node, scores, lowest)
    if bias is not None:
        scores = op.Add(scores, bias)
    if allowed is None:
        return op.Softmax(scores, axis=-1)
    zero, low = (op.constant(np.asarray(x, dtype=dtype_of(scores).numpy())) for x in (0, lowest))
    masked = op.Softmax(op.Add(scores, op.Where(allowed, zero, low)), axis=-1)
    return op.gate(masked, allowed)


def _mask(op: Backward, node: NodeView, scores: ir.Value, lowest: float) -> tuple[ir.Value | None, ir.Value | None]:
    """Return what is added to the scores and which of them count; None where that is nothing or all."""
    bias = allowed = None
    mask = node.optional(3)
    if mask is not None:
        _refuse_short_mask(node, mask, scores)
    if mask is not None and dtype_of(mask) == ir.DataType.BOOL:
        allowed = mask
    elif mask is not None:
        bias, known = mask, op.known(mask)
        if known is None or not np.isfinite(known).all():
            allowed = op.Greater(bias, lowest)
            bias = op.Max(bias, lowest)
    if node.attr_flag("is_causal"):
        rows, columns = (op.arange(op.size_vector(scores, axis)) for axis in (2, 3))
        past = op.LessOrEqual(columns, op.Unsqueeze(rows, op.ints(1)))
        allowed = past if allowed is None else op.And(allowed, past)
    return bias, allowed


def _refuse_short_mask(node: NodeView, mask: ir.Value, scores: ir.Value) -> None:
    have, want = dims_of(mask)[-1], dims_of(scores)[-1]
    if isinstance(have, int) and isinstance(want, int) and have != want:
        raise GradientError(
            f"The mask of Attention node {node.name!r} covers {have} of {want} keys, which has no derivative here. "
            f"{LATER_LAYER}, or export the model with a mask for all keys."
        )
