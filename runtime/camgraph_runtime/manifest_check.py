"""Whether a graph has what its manifest names, so that a damaged file fails at loading."""

from __future__ import annotations

import math
from collections.abc import Iterator

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.errors import InvalidGraphError, UnsupportedError
from camgraph_runtime.manifest import Manifest
from camgraph_runtime.run.engine import Engine
from camgraph_runtime.tasks.task import Task


def check_graph(task: Task, engine: Engine) -> None:
    """Checks the manifest of a loaded graph.

    Raises:
        InvalidGraphError: It names tensors that the graph does not have, or leaves out what its task needs.

    """
    manifest = task.manifest
    if not manifest.layers or task.size < 1:
        raise InvalidGraphError(f"The manifest of {engine.name} has no layers or no classes. Export the model again.")
    if not task.is_complete():
        raise InvalidGraphError(
            f"The manifest of {engine.name} says a graph for {task.name}, but leaves out what such a graph "
            "has. Export the model again."
        )
    if not all(_can_be_laid(axis) for place in _placements(manifest) for axis in _axes(place)):
        raise InvalidGraphError(
            f"The manifest of {engine.name} lays a map on the image with cells of no size. Export the model again."
        )
    if manifest.input.HasField("clip") and not all(layer.frames for layer in manifest.layers):
        raise InvalidGraphError(f"The manifest of {engine.name} has layers of a clip without frames. Export again.")
    missing = sorted((_inputs(manifest) - engine.inputs.keys()) | (_outputs(manifest) - engine.outputs.keys()))
    if missing:
        raise InvalidGraphError(
            f"The manifest of {engine.name} names {', '.join(map(repr, missing))}, "
            "which the graph does not have. Export the model again."
        )


def check_subjects(manifest: Manifest, name: str, *, clips: bool) -> None:
    """Checks that a graph explains what its explainer takes: clips and volumes, or single images.

    Raises:
        UnsupportedError: It explains the other.

    """
    if manifest.input.HasField("clip") == clips:
        return
    if clips:
        raise UnsupportedError(f"{name} explains single images; use Explainer.")
    raise UnsupportedError(f"{name} explains clips or volumes; use ClipExplainer, `camgraph explain` or a server.")


def _placements(manifest: Manifest) -> Iterator[pb.Placement]:
    yield from (layer.placement for layer in manifest.layers if layer.HasField("placement"))
    if manifest.target.HasField("mask_placement"):
        yield manifest.target.mask_placement


def _axes(place: pb.Placement) -> Iterator[pb.AxisPlacement]:
    yield from (place.rows, place.columns)
    if place.HasField("frames"):
        yield place.frames


def _can_be_laid(axis: pb.AxisPlacement) -> bool:
    numbers = (axis.start, axis.start_share, axis.stride, axis.stride_share)
    return all(map(math.isfinite, numbers)) and (axis.stride != 0 or axis.stride_share != 0)


def _inputs(manifest: Manifest) -> set[str]:
    names = manifest.target
    targets = {names.target_input, names.mask_input, names.anchor_input, names.cotangent_input}
    return (targets | {manifest.input.tensor.name, manifest.explain_switch}) - {""}


def _outputs(manifest: Manifest) -> set[str]:
    names = manifest.target
    outputs = {names.target_index_output, names.target_score_output, names.anchor_index_output}
    outputs |= {manifest.head.output_name, manifest.image_gradient_tensor}
    for layer in manifest.layers:
        outputs |= {layer.activations_tensor, layer.weights_tensor, layer.gradients_tensor}
    return outputs - {""}
