"""Finds parallel branches: ways from the image to the score that share no feature map.

Such are the backbones of an ensemble, the streams of a two-stream network, and an image beside its mirror image. Ways
that join in a later feature map, as skip connections do, are one branch: that map holds the evidence of all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import onnx_ir as ir

from camgraph_exporter.graph.gradient_path import GradientPath
from camgraph_exporter.layers.layers import TargetLayer, cuts_of
from camgraph_exporter.prepare.prepare import PreparedModel
from camgraph_exporter.reading.image_path import image_path


def parallel_branches(
    prepared: PreparedModel, score: ir.Value, layers: Sequence[TargetLayer]
) -> list[list[TargetLayer]]:
    """Return the layers of each parallel branch, in the order of the model; a single branch has all of them.

    `layers` are the feature maps between image and score. Within its branch a layer `is_cut` if all of the branch's
    evidence passes it. Where all evidence passes one map, there is one branch.
    """
    if any(layer.is_cut for layer in layers):
        return [list(layers)]
    branches = _connected(image_path(prepared, score), layers)
    if len(branches) < 2:
        return [list(layers)]
    maps = {layer.value for layer in layers}
    found = (_alone(prepared, score, branch, maps) for branch in branches)
    return [branch for branch in found if branch] or [list(layers)]


def _connected(path: GradientPath, layers: Sequence[TargetLayer]) -> list[list[TargetLayer]]:
    """Group maps of which one is made from the other, or from both of which a third is made."""
    root: dict[ir.Value, ir.Value] = {layer.value: layer.value for layer in layers}
    # The nearest maps that a value is made from.
    sources: dict[ir.Value, set[ir.Value]] = {layer.value: {layer.value} for layer in layers}

    def top(value: ir.Value) -> ir.Value:
        while root[value] is not value:
            value = root[value]
        return value

    for node in path.nodes:
        before = set().union(*(sources.get(x, set()) for x in node.inputs if x is not None))
        for value in node.outputs:
            if value in root:
                for source in before:
                    root[top(source)] = top(value)
            else:
                sources[value] = before
    groups: dict[ir.Value, list[TargetLayer]] = {}
    for layer in layers:
        groups.setdefault(top(layer.value), []).append(layer)
    return list(groups.values())


def _alone(
    prepared: PreparedModel, score: ir.Value, branch: Sequence[TargetLayer], maps: set[ir.Value]
) -> list[TargetLayer]:
    """Return a branch's layers as they are in the network without the other branches."""
    others = maps - {layer.value for layer in branch}
    nodes = [node for node in prepared.graph if others.isdisjoint(node.outputs)]
    path = image_path(prepared, score, nodes)
    cuts = cuts_of(path)
    return [replace(layer, is_cut=layer.value in cuts) for layer in branch if layer.value in path.values]
