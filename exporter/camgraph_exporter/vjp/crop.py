"""Cuts the border off a convolution's result by convolving less, instead of computing it and throwing it away."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from camgraph_exporter.vjp.backward import Backward

_SPATIAL = 2  # batch and channels come first


def cut_by_convolving_less(
    op: Backward, g: ir.Value, x: ir.Value, begin: Sequence[int], end: Sequence[int]
) -> ir.Value | None:
    """Return the cotangent `g` without `begin` and `end` elements of each axis of `x`; None if that needs a Pad.

    Many exporters write padding as a Pad before a Conv without pads. The gradient of that Conv is made with the
    full border, which the gradient of Pad cuts off again: smaller pads give the same in one operator. The larger
    convolution is then unused and dropped.
    """
    reshape = g.producer()
    source = reshape.inputs[0] if reshape is not None and reshape.op_type == "Reshape" else None
    node = source.producer() if source is not None else None
    if node is None or node not in op.nodes or node.op_type not in ("Conv", "ConvTranspose"):
        return None
    if any(begin[:_SPATIAL]) or any(end[:_SPATIAL]):
        return None
    attributes = {name: attribute.value for name, attribute in node.attributes.items()}
    cut = [*begin[_SPATIAL:], *end[_SPATIAL:]]
    pads = attributes.get("pads") or [0] * len(cut)
    # A Conv's pads add to its result, those of a ConvTranspose take from it.
    sign = -1 if node.op_type == "Conv" else 1
    attributes["pads"] = [pad + sign * count for pad, count in zip(pads, cut, strict=True)]
    if min(attributes["pads"]) < 0:
        return None
    return op.shaped(op.emit(node.op_type, node.inputs, attributes)[0], x)
