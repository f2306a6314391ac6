"""Says why a model has no map to draw a heatmap on."""

from __future__ import annotations

import onnx_ir as ir

from camgraph_exporter.graph.dims import dims_of
from camgraph_exporter.graph.gradient_path import GradientPath
from camgraph_exporter.graph.traits import MICROSOFT
from camgraph_exporter.layers.layers import TargetLayer
from camgraph_exporter.prepare.prepare import PreparedModel
from camgraph_exporter.reading.axes import axes_on
from camgraph_exporter.reading.image_path import image_path
from camgraph_exporter.reading.layouts import layout_from
from camgraph_exporter.reading.pixels import pixels_of
from camgraph_exporter.score.output_head import plain_head
from camgraph_exporter.tasks import Score

_SHOWN = 3


def why_no_map(prepared: PreparedModel, score: Score) -> str:
    """Return one or two sentences that say which nodes hide the maps, or that there are none."""
    path = image_path(prepared, score.value)
    stacked = _stacked_images(path, prepared)
    if stacked:
        return stacked
    if lost := _maps_without_gradient(path, prepared, score):
        return lost
    return _foreign_nodes(path) or (
        "The model has no spatial feature map between its image input and the score, so there is nothing to draw a "
        "heatmap on. Grad-CAM needs a convolutional or token map; check --score."
    )


def why_no_place(prepared: PreparedModel, score: Score, last: TargetLayer) -> str:
    """Return one or two sentences that say what hides the place of every map; `last` is the last one."""
    return _foreign_nodes(image_path(prepared, score.value)) or (
        "The model has no layer of which it is known where its cells lie on the image, so a heatmap has no place. "
        f"The last one is {last.name!r}: {last.place_unknown}."
    )


def _foreign_nodes(path: GradientPath) -> str:
    """Say which nodes are not standard; nothing where all are."""
    foreign = [node for node in path.nodes if node.domain]
    if not foreign:
        return ""
    named = [f"{(node.name or node.outputs[0].name)!r} ({node.op_type} of {node.domain})" for node in foreign[:_SHOWN]]
    more = f" and {len(foreign) - _SHOWN} more" if len(foreign) > _SHOWN else ""
    advice = "Export the model with standard operators."
    if any(node.domain.startswith(MICROSOFT) for node in foreign):
        advice = (
            "If onnxruntime's optimiser saved the file, take the one from before it, or save it at the level "
            "ORT_ENABLE_EXTENDED or lower."
        )
    return f"No feature map can be followed through nodes that are not standard: {', '.join(named)}{more}. {advice}"


def _maps_without_gradient(path: GradientPath, prepared: PreparedModel, score: Score) -> str:
    """Say so where the model has maps, and no gradient comes to them."""
    axes, flows = axes_on(path, prepared.image, prepared.probe.constants), path.with_gradient()
    pixels = pixels_of(prepared)
    maps = [
        value
        for value in path.values - pixels - flows
        if value.dtype is not None and value.dtype.is_floating_point() and layout_from(value, axes.get(value, ()))
    ]
    if not maps:
        return ""
    ends = [f"{(node.name or node.outputs[0].name)!r} ({node.op_type})" for node in path.stops()[-_SHOWN:]]
    return (
        f"No gradient of the score {score.name!r} comes to a feature map, so there is nothing to draw a heatmap on. "
        f"It ends at {', '.join(ends)}, after the last map: none passes an operator that rounds, compares or picks."
        f"{_scores_before(path, flows)}"
    )


def _scores_before(path: GradientPath, flows: set[ir.Value]) -> str:
    """Name the scores that the last such operator reads, such as those before a threshold."""
    node = path.stops()[-1]
    read = [x for x in node.inputs if x is not None and x in path.values - flows and x.shape is not None]
    floats = [x for x in read if x.dtype is not None and x.dtype.is_floating_point()]
    if len(floats) != 1:
        return ""
    return f" To explain the scores before that, give --score {plain_head(floats[0]).value.name}."


def _stacked_images(path: GradientPath, prepared: PreparedModel) -> str:
    """Say so where the model joins several versions of the image along the batch."""
    for node in path.nodes:
        value = node.outputs[0]
        if node.op_type != "Concat" or node.domain or value.shape is None or len(dims_of(value)) != 4:
            continue
        if node.attributes.get_int("axis", 1) % 4 == 0 and dims_of(value)[0] != dims_of(prepared.image)[0]:
            return (
                f"The model stacks several versions of each image along the batch, at node "
                f"{node.name or value.name!r} (Concat), so that its feature maps belong to no single image. Export the "
                "model without that, or with the versions one beside the other, each with its own layers."
            )
    return ""
