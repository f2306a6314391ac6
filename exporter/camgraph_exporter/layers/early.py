"""Says that a layer is early: most of what the model computes on maps comes after it.

`auto` takes the last map that can be read. Where later ones cannot, it may be far from the score, as a patch embedding.
"""

from __future__ import annotations

from collections.abc import Iterable

import onnx_ir as ir

from camgraph_exporter.graph.dims import dims_of
from camgraph_exporter.graph.gradient_path import GradientPath
from camgraph_exporter.layers.cost import macs
from camgraph_exporter.layers.layers import TargetLayer
from camgraph_exporter.prepare.prepare import PreparedModel
from camgraph_exporter.reading.image_path import image_path

_MOST = 0.6  # of the arithmetic on maps; one of two blocks of a transformer that reads its class token is half


def note_on_early(prepared: PreparedModel, score: ir.Value, layer: TargetLayer) -> str:
    """Return a sentence for the user, empty where the layer is not early."""
    total = _arithmetic(image_path(prepared, score).nodes)
    after = _arithmetic(GradientPath(prepared.graph, [layer.value], [score]).nodes)
    if not total or after / total < _MOST:
        return ""
    return (
        f"Layer {layer.name!r} is an early one: {after / total:.0%} of the model's arithmetic on maps comes after it, "
        "in tensors that could not be read as maps of the image. Its heatmaps show less than those of a late layer."
    )


def _arithmetic(nodes: Iterable[ir.Node]) -> float:
    return sum(macs(node) for node in nodes if _is_of_places(node.outputs[0]))


def _is_of_places(value: ir.Value) -> bool:
    """Tell whether a tensor has more than a row of numbers for each image, as that of a linear layer is."""
    return value.shape is not None and sum(dim != 1 for dim in dims_of(value)[1:]) >= 2
