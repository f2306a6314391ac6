"""Chooses the target layer: the one that the user names, or the one that Grad-CAM means."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from camgraph.v1 import manifest_pb2 as pb
from camgraph_exporter.cam.box_groups import BoxGroups
from camgraph_exporter.cam.layers import TargetLayer, is_moved, narrowest, spatial_layers
from camgraph_exporter.cam.no_map import why_no_map
from camgraph_exporter.cam.score import Score
from camgraph_exporter.errors import ExportError, LayerError, UnknownTensorError, closest
from camgraph_exporter.graph.dims import dims_of
from camgraph_exporter.graph.quantisation import SMALL_INTEGERS, maker, quantised_twin, shown
from camgraph_exporter.prepare.prepare import Prepared
from camgraph_exporter.vjp.driver import Path

AUTO = "auto"
_POOLS = {"MaxPool", "AveragePool", "LpPool", "QLinearAveragePool"}


def choose_layer(
    prepared: Prepared, score: Score, name: str = AUTO, aliases: Mapping[str, str] = MappingProxyType({})
) -> TargetLayer:
    """Return the layer that the user named, or for "auto" the one that Grad-CAM means.

    That is the last feature map before pooling or flattening. Scores of pixels or boxes are feature maps themselves:
    there it is the deepest map of the network, after which the maps only grow; for boxes the deepest one that all of
    them depend on.

    Names that a frontend gave to tensors (`aliases`) are understood, too.

    Raises:
        UnknownTensorError: there is no such layer.
        LayerError: the layer cannot be explained, or the model has no feature map.

    """
    layers = spatial_layers(prepared, score)
    by_name = {layer.name: layer for layer in layers}
    if name != AUTO:
        tensor = _twin(prepared, aliases.get(name, name))
        if tensor in by_name:
            if by_name[tensor].place_unknown:
                raise LayerError(_not_placed(by_name[tensor]))
            note = _reach_of(prepared, score, by_name[tensor])
            return replace(by_name[tensor], alias=name if tensor != name else "", note=note)
        raise _unknown(prepared, score, tensor, by_name)
    if not layers:
        raise LayerError(why_no_map(prepared, score))
    placed = [layer for layer in layers if not layer.place_unknown]
    if not placed:
        raise LayerError(_not_placed(layers[-1]))
    chosen = _best(prepared, placed, score)
    meant = chosen if len(placed) == len(layers) else _best(prepared, layers, score)
    if not meant.place_unknown:
        return chosen
    return replace(chosen, note=" ".join(filter(None, [_passed_over(meant, chosen), chosen.note])))


def _best(prepared: Prepared, layers: list[TargetLayer], score: Score) -> TargetLayer:
    """Return the layer that Grad-CAM means among some."""
    if score.task == pb.TASK_SEGMENTATION:
        return _deepest(prepared, layers, layers, score)
    useful = [layer for layer in layers if layer.has_effect] or layers
    if score.task == pb.TASK_DETECTION and narrowest(layers)[-1].has_effect:
        return _deepest_of_all_boxes(prepared, layers, score)
    chosen = _before_pooling(narrowest(useful)[-1], {layer.name: layer for layer in layers})
    last = narrowest(layers)[-1]
    return chosen if last.has_effect else replace(chosen, note=_stepped_back(last, chosen))


def _not_placed(layer: TargetLayer) -> str:
    return (
        f"Where the cells of layer {layer.name!r} lie on the image is not known: {layer.place_unknown}. "
        "Take a layer before that with --layer; `camgraph inspect` lists the layers."
    )


def _passed_over(meant: TargetLayer, chosen: TargetLayer) -> str:
    return (
        f"Where the cells of layer {meant.name!r} lie on the image is not known: {meant.place_unknown}. "
        f"The target layer is {chosen.name!r}, whose place is known."
    )


def _twin(prepared: Prepared, name: str) -> str:
    """Return the name of what quantisation makes of a tensor, which the deployed model computes with; else its own."""
    value = prepared.value(name)
    twin = quantised_twin(value) if value is not None else None
    return str(twin.name) if twin is not None else name


def _stepped_back(last: TargetLayer, chosen: TargetLayer) -> str:
    return (
        f"The score reads only tokens of {last.name!r} that belong to no place, such as a class token, so the "
        "gradients of its map are zero; "
        f"the target layer is {chosen.name!r}, the last map before it that the score depends on."
    )


def _before_pooling(layer: TargetLayer, by_name: dict[str, TargetLayer]) -> TargetLayer:
    """Step back over a pooling or a mere move: the map in front has the same evidence at full resolution."""
    while (node := maker(layer.value)) is not None and (node.op_type in _POOLS or is_moved(layer)):
        source = shown(node.inputs[0]) if node.inputs[0] is not None else None
        if source is None or str(source.name) not in by_name:
            break
        layer = by_name[str(source.name)]
    return layer


def _deepest_of_all_boxes(prepared: Prepared, layers: list[TargetLayer], score: Score) -> TargetLayer:
    """Return the deepest map that every box depends on: a map of one scale is empty for the boxes of the others."""
    groups = BoxGroups(prepared, score)
    shared = groups.most_shared([layer.value for layer in layers if layer.has_effect])
    common = [layer for layer in layers if layer.value in shared]
    ends = [layer for layer in common if not is_moved(layer)]
    chosen = _deepest(prepared, ends or common or layers, layers, score)
    note = _reach_note(groups, chosen)
    if len(groups.groups) > 1 and not note:
        note = (
            f"The scores of the boxes come from {len(groups.groups)} maps; the target layer is {chosen.name!r}, the "
            "deepest map that all boxes depend on."
        )
    return replace(chosen, note=note)


def _reach_of(prepared: Prepared, score: Score, layer: TargetLayer) -> str:
    return _reach_note(BoxGroups(prepared, score), layer) if score.task == pb.TASK_DETECTION else ""


def _reach_note(groups: BoxGroups, layer: TargetLayer) -> str:
    boxes = groups.partly(layer.value)
    if boxes is None:
        return ""
    return f"{boxes} boxes depend on layer {layer.name!r}; the heatmaps of the others are empty."


def _deepest(prepared: Prepared, layers: list[TargetLayer], others: list[TargetLayer], score: Score) -> TargetLayer:
    """Return the last of the coarsest `layers` that a finer map, one of `others`, is made from.

    That is the bottleneck of an encoder and decoder. Without a decoder it is the last of the coarsest.
    """

    def area(layer: TargetLayer) -> float:
        return math.prod(layer.seen) if layer.seen is not None else math.inf

    smallest = min(area(layer) for layer in layers)
    coarsest = [layer for layer in layers if area(layer) == smallest]
    finer = {layer.value for layer in others if area(layer) > smallest}
    for layer in reversed(coarsest):
        if finer & Path(prepared.graph, [layer.value], [score.value]).values:
            return layer
    return coarsest[-1]


def _unknown(prepared: Prepared, score: Score, name: str, by_name: dict[str, TargetLayer]) -> ExportError:
    value, hint = prepared.value(name), "`camgraph inspect` lists the layers."
    if value is None:
        return UnknownTensorError(f"There is no layer {name!r}.{closest(name, by_name)} {hint}")
    if value.dtype in SMALL_INTEGERS and (real := shown(value)) is not None:
        return LayerError(
            f"Layer {name!r} holds quantised integers. Name the real numbers that they stand for, {real.name!r}."
        )
    if value.dtype is None or not value.dtype.is_floating_point():
        return LayerError(f"Layer {name!r} holds {value.dtype} elements, which have no gradient. {hint}")
    if value not in Path(prepared.graph, [prepared.image], [score.value]).values:
        return LayerError(f"The score {score.name!r} does not depend on layer {name!r}. {hint}")
    shape = list(dims_of(value)) if value.shape is not None else "unknown"
    return LayerError(f"Layer {name!r} has the shape {shape}, which is not a feature map [N, K, h, w]. {hint}")
