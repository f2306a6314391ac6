"""Writes out the attention that onnxruntime's optimiser for transformers fuses: softmax(q k' * scale + bias) v.

https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md has both operators. What serves texts alone
(caches, masks of padding, causal and rotated attention) is left as it is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import onnx_ir as ir

from camgraph_exporter.graph.dims import dims_of
from camgraph_exporter.prepare.writer import Writer


def attention(op: Writer) -> list[ir.Value] | None:
    """One product makes queries, keys and values: inputs x, weights, bias, mask, past, attention bias."""
    weights = op.input(1)
    if _serves_texts(op, mask=3, past=(4, 6)) or weights is None or weights.shape is None:
        return None
    whole = dims_of(weights)[1]
    if not isinstance(whole, int):
        return None
    sizes = list(op.attribute("qkv_hidden_sizes", ())) or [whole // 3] * 3
    x = op("MatMul", op.input(0), weights)
    if op.input(2) is not None:
        x = op("Add", x, op.input(2))
    return _heads(op, _pieces(op, x, sizes), sizes, op.input(5))


def multi_head_attention(op: Writer) -> list[ir.Value] | None:
    """Queries, keys and values apart: inputs q, k, v, bias of all three, mask, attention bias, two of the past."""
    parts = [op.input(index) for index in range(3)]
    if _serves_texts(op, mask=4, past=(6, 7)) or any(part is None or part.shape is None for part in parts):
        return None
    shapes = [dims_of(part) for part in parts if part is not None]
    sizes = [shape[-1] for shape in shapes if len(shape) == 3 and isinstance(shape[-1], int)]
    if len(sizes) != 3:  # packed, or by heads already
        return None
    if op.input(3) is not None:
        biases = _pieces(op, op.input(3), [int(size) for size in sizes])
        parts = [op("Add", part, bias) for part, bias in zip(parts, biases, strict=True)]
    return _heads(op, parts, [int(size) for size in sizes], op.input(5))


def _serves_texts(op: Writer, *, mask: int, past: Sequence[int]) -> bool:
    given = any(op.input(index) is not None for index in (mask, *past))
    cached = any(value.name and value.uses() for value in op.node.outputs[1:])
    return given or cached or any(op.attribute(name, 0) for name in ("unidirectional", "do_rotary"))


def _pieces(op: Writer, x: ir.Value | None, sizes: Sequence[int]) -> list[ir.Value]:
    """Cut the last axis."""
    ends = [sum(sizes[: index + 1]) for index in range(len(sizes))]
    cuts = zip(ends, sizes, strict=True)
    return [op("Slice", x, op.numbers(end - size), op.numbers(end), op.numbers(-1)) for end, size in cuts]


def _heads(op: Writer, parts: Sequence[ir.Value | None], sizes: Sequence[int], bias: ir.Value | None) -> list[ir.Value]:
    """Return the attention of [N, tokens, size] in every head; `bias` is added to the products of q and k."""
    heads = int(op.attribute("num_heads", 1))
    q, k, v = (
        op("Transpose", op("Reshape", part, op.numbers(0, 0, heads, size // heads)), perm=perm)
        for part, size, perm in zip(parts, sizes, ([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3]), strict=True)
    )
    scale = float(op.attribute("scale", 0.0)) or 1 / math.sqrt(sizes[0] // heads)
    products = op("Mul", op("MatMul", q, k), op.number(scale))
    if bias is not None:
        products = op("Add", products, bias)
    mixed = op("MatMul", op("Softmax", products, axis=-1), v)
    return [op("Reshape", op("Transpose", mixed, perm=[0, 2, 1, 3]), op.numbers(0, 0, sizes[2]))]
