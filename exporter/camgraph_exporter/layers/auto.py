"""Which of some feature maps Grad-CAM means: the last one before pooling, or the deepest one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import onnx_ir as ir

from camgraph_exporter.graph.gradient_path import GradientPath
from camgraph_exporter.graph.traits import Trait, has
from camgraph_exporter.layers.layers import TargetLayer, is_moved, narrowest
from camgraph_exporter.prepare.prepare import PreparedModel
from camgraph_exporter.quantised.forms import maker, shown


def last_map(layers: Sequence[TargetLayer]) -> TargetLayer:
    """Return the last map before pooling or flattening that has an effect on the score."""
    useful = [layer for layer in layers if layer.has_effect] or layers
    chosen = _before_pooling(narrowest(useful)[-1], {layer.name: layer for layer in layers})
    last = narrowest(layers)[-1]
    return chosen if last.has_effect else replace(chosen, note=_stepped_back(last, chosen))


def deepest_map(
    prepared: PreparedModel, score: ir.Value, layers: Sequence[TargetLayer], others: Sequence[TargetLayer]
) -> TargetLayer:
    """Return the last of the coarsest `layers` that a finer map, one of `others`, is made from.

    That is the bottleneck of an encoder and decoder. Without a decoder it is the last of the coarsest. Maps of the
    scores themselves, which are only enlarged afterwards, show no more than the answer: they are left out.
    """

    def area(layer: TargetLayer) -> float:
        return math.prod(layer.seen) if layer.seen is not None else math.inf

    smallest = min(area(layer) for layer in layers)
    coarsest = [layer for layer in layers if area(layer) == smallest]
    coarsest = [layer for layer in coarsest if layer.extra_cost > 0] or coarsest
    finer = {layer.value for layer in others if area(layer) > smallest}
    for layer in reversed(coarsest):
        if finer & GradientPath(prepared.graph, [layer.value], [score]).values:
            return layer
    return coarsest[-1]


def _before_pooling(layer: TargetLayer, by_name: Mapping[str, TargetLayer]) -> TargetLayer:
    """Step back over pooling and moved elements: the map before has the same evidence at full resolution."""
    while (node := maker(layer.value)) is not None and (has(node, Trait.POOLS) or is_moved(layer)):
        source = shown(node.inputs[0]) if node.inputs[0] is not None else None
        if source is None or str(source.name) not in by_name:
            break
        layer = by_name[str(source.name)]
    return layer


def _stepped_back(last: TargetLayer, chosen: TargetLayer) -> str:
    return (
        f"The score reads only tokens of {last.name!r} that belong to no place, such as a class token, so the "
        "gradients of its map are zero; "
        f"the target layer is {chosen.name!r}, the last map before it that the score depends on."
    )
