"""Recognises the heads of a detector's scales where the graph ends with them, before boxes are decoded and joined."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import onnx_ir as ir

from camgraph_exporter.graph.dims import Dim, dims_of
from camgraph_exporter.prepare.prepare import PreparedModel

_FEWEST = 18  # channels: three anchors with a box, an objectness and one class


def undecoded_heads(prepared: PreparedModel) -> tuple[list[ir.Value], str]:
    """Return the outputs that look like a detector's heads, one for each scale, and a sentence on them.

    Such have the shape [N, anchors, h, w, numbers], which nothing else has, or [N, anchors * numbers, h, w] or
    [N, h, w, anchors * numbers], as maps of classes have in several sizes, too. Some have outputs of their own for
    boxes, classes and objectness of each scale. There are none, and no sentence, where no outputs look like that.
    """
    outputs = [output for output in prepared.graph.outputs if output.shape is not None]
    for rank, channels, rows in ((5, 4, 2), (4, 1, 2), (4, 3, 1)):
        groups: dict[Dim, list[ir.Value]] = {}
        for output in outputs:
            if len(dims_of(output)) == rank:
                groups.setdefault(dims_of(output)[channels], []).append(output)
        if not groups or not all(_are_scales(prepared, group, rows) for group in groups.values()):
            continue
        widest = max(size if isinstance(size, int) else 0 for size in groups)
        is_several = len({len(group) for group in groups.values()}) == 1 and len(groups) > 1
        if rank == 5 or is_several or (len(groups) == 1 and widest >= _FEWEST):
            heads = [output for group in groups.values() for output in group]
            return heads, _sentence(heads, is_certain=rank == 5)
    return [], ""


def _are_scales(prepared: PreparedModel, heads: list[ir.Value], rows: int) -> bool:
    """Tell whether the sizes of some maps are each twice or half the next, and all as frequent.

    A size may be there twice where boxes have as many channels as classes. `rows`: the axis of the rows.
    """
    sizes = Counter(tuple(prepared.probe.example(dim) or 0 for dim in dims_of(head)[rows : rows + 2]) for head in heads)
    if len(sizes) < 2 or len(set(sizes.values())) > 1:
        return False
    pairs = list(pairwise(sizes))
    return all(map(_is_half, pairs)) or all(_is_half((b, a)) for a, b in pairs)


def _is_half(pair: tuple[tuple[int, ...], tuple[int, ...]]) -> bool:
    """Tell whether the second size is half the first, rounded up."""
    return all(b == -(-a // 2) for a, b in zip(*pair, strict=True))


def _sentence(heads: list[ir.Value], *, is_certain: bool) -> str:
    names = " and ".join(filter(None, (", ".join(repr(str(head.name)) for head in heads[:-1]), repr(heads[-1].name))))
    advice = (
        "export the model with the part that decodes and joins them, which PyTorch's evaluation mode often adds "
        "(YOLOv7: export.py --grid)."
    )
    if is_certain:
        return f"Outputs {names} are the heads of a detector's scales, without boxes that could be named: {advice}"
    return f"Outputs {names} may be the heads of a detector's scales and not maps of classes; if so, {advice}"
