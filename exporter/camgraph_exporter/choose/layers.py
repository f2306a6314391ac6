"""Chooses the target layer: the one that the user names, or the one that Grad-CAM means."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from camgraph.v1 import manifest_pb2 as pb
from camgraph_exporter.choose.no_map import why_no_map
from camgraph_exporter.choose.score import Score
from camgraph_exporter.errors import ExportError, LayerError, UnknownTensorError, closest
from camgraph_exporter.graph.dims import dims_of
from camgraph_exporter.graph.element_types import SMALL_INTEGERS
from camgraph_exporter.graph.gradient_path import GradientPath
from camgraph_exporter.layers.box_groups import BoxGroups
from camgraph_exporter.layers.branches import parallel_branches
from camgraph_exporter.layers.layers import TargetLayer, is_moved, narrowest, spatial_layers
from camgraph_exporter.prepare.prepare import Prepared
from camgraph_exporter.quantised.forms import maker, quantised_twin, shown
from camgraph_exporter.reading.image_path import image_path

AUTO = "auto"
_POOLS = {"MaxPool", "AveragePool", "LpPool", "QLinearAveragePool"}


def choose_layers(
    prepared: Prepared, score: Score, name: str = AUTO, aliases: Mapping[str, str] = MappingProxyType({})
) -> list[TargetLayer]:
    """Return the layer that the user named, or for "auto" those that Grad-CAM means.

    That is the last feature map before pooling or flattening, or where the evidence takes several parallel branches
    from the image to the score, the last of each. Scores of pixels or boxes are feature maps themselves: there it is
    the deepest map of the network, after which the maps only grow; for boxes the deepest one that all of them depend
    on.

    Names that a frontend gave to tensors (`aliases`) are understood, too.

    Raises:
        UnknownTensorError: there is no such layer.
        LayerError: the layer cannot be explained, or the model has no feature map.

    """
    layers = spatial_layers(prepared, score)
    branches = parallel_branches(prepared, score, layers)
    if name != AUTO:
        layer = _named(prepared, score, name, aliases, layers)
        return [replace(layer, note=" ".join(filter(None, [layer.note, _beside(prepared, score, layer, branches)])))]
    if not layers:
        raise LayerError(why_no_map(prepared, score))
    if not any(not layer.place_unknown for layer in layers):
        raise LayerError(
            "The model has no layer of which it is known where its cells lie on the image, so a heatmap has no place. "
            f"The last one is {layers[-1].name!r}: {layers[-1].place_unknown}."
        )
    chosen = [_auto(prepared, score, branch) for branch in branches if any(not layer.place_unknown for layer in branch)]
    if len(branches) == 1:
        return chosen
    lost = [_best(prepared, branch, score) for branch in branches if all(layer.place_unknown for layer in branch)]
    notes = [_fused(chosen)] if len(chosen) > 1 else []
    notes += [
        f"The heatmap lacks the branch of layer {layer.name!r}. {_not_placed(layer, advice='')}" for layer in lost
    ]
    return [replace(chosen[0], note=" ".join(filter(None, [*notes, chosen[0].note]))), *chosen[1:]]


def choose_layer(
    prepared: Prepared, score: Score, name: str = AUTO, aliases: Mapping[str, str] = MappingProxyType({})
) -> TargetLayer:
    """Return the first of `choose_layers`."""
    return choose_layers(prepared, score, name, aliases)[0]


def _named(
    prepared: Prepared, score: Score, name: str, aliases: Mapping[str, str], layers: Sequence[TargetLayer]
) -> TargetLayer:
    by_name = {layer.name: layer for layer in layers}
    tensor = _twin(prepared, aliases.get(name, name))
    if tensor not in by_name:
        raise _unknown(prepared, score, tensor, by_name)
    if by_name[tensor].place_unknown:
        raise LayerError(_not_placed(by_name[tensor]))
    note = _reach_of(prepared, score, by_name[tensor])
    return replace(by_name[tensor], alias=name if tensor != name else "", note=note)


def _fused(chosen: Sequence[TargetLayer]) -> str:
    return (
        f"From the image to the score the evidence takes {len(chosen)} branches. The heatmap adds up the evidence of "
        f"all, at the layers {_listed(chosen)}."
    )


def _beside(prepared: Prepared, score: Score, layer: TargetLayer, branches: Sequence[Sequence[TargetLayer]]) -> str:
    """Say which branches a heatmap at a named layer does not show."""
    others = [branch for branch in branches if layer.name not in {each.name for each in branch}]
    if len(branches) == 1 or not others:
        return ""
    ends = _listed([_best(prepared, list(branch), score) for branch in others])
    rest = f"the other, which ends in {ends}" if len(others) == 1 else f"the others, which end in {ends}"
    return (
        f"Layer {layer.name!r} is in one of {len(branches)} branches from the image to the score. Its heatmaps do not "
        f"show the evidence of {rest}. The layer 'auto' shows all."
    )


def _listed(layers: Sequence[TargetLayer]) -> str:
    names = [repr(layer.name) for layer in layers]
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _auto(prepared: Prepared, score: Score, layers: Sequence[TargetLayer]) -> TargetLayer:
    """Return the best layer of a branch among those whose place is known, of which there are some."""
    placed = [layer for layer in layers if not layer.place_unknown]
    chosen = _best(prepared, placed, score)
    meant = chosen if len(placed) == len(layers) else _best(prepared, list(layers), score)
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


def _not_placed(
    layer: TargetLayer, advice: str = " Take a layer before that with --layer; `camgraph inspect` lists the layers."
) -> str:
    return f"Where the cells of layer {layer.name!r} lie on the image is not known: {layer.place_unknown}.{advice}"


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
        if finer & GradientPath(prepared.graph, [layer.value], [score.value]).values:
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
    path = image_path(prepared, score.value)
    if value not in path.values:
        return LayerError(f"The score {score.name!r} does not depend on layer {name!r}. {hint}")
    if value not in path.with_gradient():
        return LayerError(
            f"No gradient flows from score {score.name!r} to layer {name!r}: the score depends on the layer only "
            f"through rounding, integers or comparisons. {hint}"
        )
    shape = list(dims_of(value)) if value.shape is not None else "unknown"
    return LayerError(f"Layer {name!r} has the shape {shape}, which is not a feature map [N, K, h, w]. {hint}")
