"""Recognises the heads of a detector's scales where the graph ends with them, before boxes are decoded and joined."""

from __future__ import annotations

from itertools import pairwise

import onnx_ir as ir

from camgraph_exporter.graph.dims import dims_of
from camgraph_exporter.prepare.prepare import PreparedModel

_FEWEST = 18  # channels: three anchors with a box, an objectness and one class


def undecoded_heads(prepared: PreparedModel) -> tuple[list[ir.Value], str]:
    """Return the outputs that look like a detector's heads, one for each scale, and a sentence on them.

    Such have the shape [N, anchors, h, w, numbers], which nothing else has, or [N, anchors * numbers, h, w], as maps of
    classes have in several sizes, too. There are none, and no sentence, where no outputs look like that.
    """
    outputs = [output for output in prepared.graph.outputs if output.shape is not None]
    for rank, channels in ((5, -1), (4, 1)):
        heads = [output for output in outputs if len(dims_of(output)) == rank]
        if _are_scales(prepared, heads, channels) and (rank == 5 or int(dims_of(heads[0])[channels]) >= _FEWEST):
            return heads, _sentence(heads, is_certain=rank == 5)
    return [], ""


def _are_scales(prepared: PreparedModel, heads: list[ir.Value], channels: int) -> bool:
    """Tell whether some maps have as many channels, and each one twice or half the rows and columns of the next."""
    if len(heads) < 2 or len({dims_of(head)[channels] for head in heads}) > 1:
        return False
    if not isinstance(dims_of(heads[0])[channels], int):
        return False
    sizes = [[prepared.probe.example(dim) or 0 for dim in dims_of(head)[2:4]] for head in heads]
    steps = [all(a == 2 * b for a, b in zip(one, other, strict=True)) for one, other in pairwise(sizes)]
    back = [all(2 * a == b for a, b in zip(one, other, strict=True)) for one, other in pairwise(sizes)]
    return all(steps) or all(back)


def _sentence(heads: list[ir.Value], *, is_certain: bool) -> str:
    names = " and ".join(filter(None, (", ".join(repr(str(head.name)) for head in heads[:-1]), repr(heads[-1].name))))
    advice = "export the model with the part that decodes and joins them, which PyTorch's evaluation mode often adds."
    if is_certain:
        return f"Outputs {names} are the heads of a detector's scales, without boxes that could be named: {advice}"
    return f"Outputs {names} may be the heads of a detector's scales and not maps of classes; if so, {advice}"
