"""Chooses the target layer: the one that the user names, or the one that Grad-CAM means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from camgraph_exporter.choose.no_map import why_no_map, why_no_place
from camgraph_exporter.errors import ExportError, LayerError, UnknownTensorError, closest
from camgraph_exporter.frontends.onnx_file import AUTO
from camgraph_exporter.graph.dims import shape_text
from camgraph_exporter.graph.element_types import SMALL_INTEGERS
from camgraph_exporter.layers.branches import parallel_branches
from camgraph_exporter.layers.early import note_on_early
from camgraph_exporter.layers.layers import TargetLayer, ends_of_blocks, narrowest, spatial_layers
from camgraph_exporter.prepare.prepare import PreparedModel
from camgraph_exporter.quantised.forms import quantised_twin, shown
from camgraph_exporter.reading.image_path import image_path
from camgraph_exporter.tasks import Score


def choose_layers(
    prepared: PreparedModel, score: Score, name: str = AUTO, aliases: Mapping[str, str] = MappingProxyType({})
) -> list[TargetLayer]:
    """Return the layer that the user named, or for "auto" those that Grad-CAM means.

    That is the last feature map before pooling or flattening, or where the evidence takes several parallel branches
    from the image to the score, the last of each. Scores of pixels or boxes are feature maps themselves: there the task
    says which map it is.

    A name may also be one that a frontend gave to a tensor (`aliases`).

    Raises:
        UnknownTensorError: there is no such layer.
        LayerError: the layer cannot be explained, or the model has no feature map.

    """
    layers = spatial_layers(prepared, score.value)
    branches = branches_of(prepared, score, layers)
    if name != AUTO:
        layer = _named(prepared, score, name, aliases, layers)
        return [replace(layer, note=" ".join(filter(None, [layer.note, _beside(prepared, score, layer, branches)])))]
    if not layers:
        raise LayerError(why_no_map(prepared, score))
    if not any(not layer.place_unknown for layer in layers):
        raise LayerError(why_no_place(prepared, score, layers[-1]))
    chosen = [_auto(prepared, score, branch) for branch in branches if any(not layer.place_unknown for layer in branch)]
    if len(branches) == 1:
        [best] = chosen
        if not score.task.is_dense:
            early = note_on_early(prepared, score.value, best)
            best = replace(best, note=" ".join(filter(None, [best.note, early])))
        return score.task.completed(prepared, score, best, [layer for layer in layers if not layer.place_unknown])
    lost = [
        score.task.best_layer(prepared, score, branch)
        for branch in branches
        if all(layer.place_unknown for layer in branch)
    ]
    notes = [_fused(chosen)] if len(chosen) > 1 else []
    notes += [
        f"The heatmap lacks the branch of layer {layer.name!r}. {_not_placed(layer, advice='')}" for layer in lost
    ]
    return [replace(chosen[0], note=" ".join(filter(None, [*notes, chosen[0].note]))), *chosen[1:]]


def candidate_layers(prepared: PreparedModel, score: Score) -> list[TargetLayer]:
    """Return the layers that are worth a choice: the ends of blocks, in the order of the model.

    For scores of an image they are those through which all evidence passes.
    """
    layers = spatial_layers(prepared, score.value)
    ends = ends_of_blocks(prepared, layers)
    return (ends if score.task.is_dense else narrowest(ends)) or layers


def branches_of(prepared: PreparedModel, score: Score, layers: Sequence[TargetLayer]) -> list[list[TargetLayer]]:
    """Return the layers of each parallel branch; scores of pixels or boxes have one."""
    return [list(layers)] if score.task.is_dense else parallel_branches(prepared, score.value, layers)


def choose_layer(
    prepared: PreparedModel, score: Score, name: str = AUTO, aliases: Mapping[str, str] = MappingProxyType({})
) -> TargetLayer:
    """Return the first layer that `choose_layers` returns."""
    return choose_layers(prepared, score, name, aliases)[0]


def _named(
    prepared: PreparedModel, score: Score, name: str, aliases: Mapping[str, str], layers: Sequence[TargetLayer]
) -> TargetLayer:
    by_name = {layer.name: layer for layer in layers}
    tensor = _twin(prepared, aliases.get(name, name))
    if tensor not in by_name:
        raise _unknown(prepared, score, tensor, by_name)
    if by_name[tensor].place_unknown:
        raise LayerError(_not_placed(by_name[tensor]))
    note = score.task.reach(prepared, score, by_name[tensor])
    return replace(by_name[tensor], alias=name if tensor != name else "", note=note)


def _fused(chosen: Sequence[TargetLayer]) -> str:
    return (
        f"From the image to the score the evidence takes {len(chosen)} branches. The heatmap adds up the evidence of "
        f"all, at the layers {_listed(chosen)}."
    )


def _beside(
    prepared: PreparedModel, score: Score, layer: TargetLayer, branches: Sequence[Sequence[TargetLayer]]
) -> str:
    """Say which branches a heatmap at a named layer does not show."""
    others = [branch for branch in branches if layer.name not in {each.name for each in branch}]
    if len(branches) == 1 or not others:
        return ""
    ends = _listed([score.task.best_layer(prepared, score, branch) for branch in others])
    rest = f"the other, which ends in {ends}" if len(others) == 1 else f"the others, which end in {ends}"
    return (
        f"Layer {layer.name!r} is in one of {len(branches)} branches from the image to the score. Its heatmaps do not "
        f"show the evidence of {rest}. The layer 'auto' shows all."
    )


def _listed(layers: Sequence[TargetLayer]) -> str:
    names = [repr(layer.name) for layer in layers]
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _auto(prepared: PreparedModel, score: Score, layers: Sequence[TargetLayer]) -> TargetLayer:
    """Return the best layer of a branch among those whose place is known; at least one is."""
    placed = [layer for layer in layers if not layer.place_unknown]
    chosen = score.task.best_layer(prepared, score, placed)
    meant = chosen if len(placed) == len(layers) else score.task.best_layer(prepared, score, layers)
    if not meant.place_unknown:
        return chosen
    return replace(chosen, note=" ".join(filter(None, [_passed_over(meant, chosen), chosen.note])))


def _not_placed(
    layer: TargetLayer, advice: str = " Take a layer before that with --layer; `camgraph inspect` lists the layers."
) -> str:
    return f"Where the cells of layer {layer.name!r} lie on the image is not known: {layer.place_unknown}.{advice}"


def _passed_over(meant: TargetLayer, chosen: TargetLayer) -> str:
    return (
        f"Where the cells of layer {meant.name!r} lie on the image is not known: {meant.place_unknown}. "
        f"The target layer is {chosen.name!r}, whose place is known."
    )


def _twin(prepared: PreparedModel, name: str) -> str:
    """Return the name of the quantised form of a tensor, which the deployed model computes with; else its own."""
    value = prepared.value(name)
    twin = quantised_twin(value) if value is not None else None
    return str(twin.name) if twin is not None else name


def _unknown(prepared: PreparedModel, score: Score, name: str, by_name: dict[str, TargetLayer]) -> ExportError:
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
    shape = shape_text(value)
    return LayerError(f"Layer {name!r} has the shape {shape}, which is not a feature map [N, K, h, w]. {hint}")
