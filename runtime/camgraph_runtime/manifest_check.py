"""Whether a graph has what its manifest names, so that a damaged file fails at loading."""

from __future__ import annotations

import math
from collections.abc import Iterator

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.errors import InvalidGraphError, UnsupportedError
from camgraph_runtime.manifest import Manifest
from camgraph_runtime.run.engine import Engine
from camgraph_runtime.tasks.task import task_name, task_of

_CLASSES = (pb.TASK_CLASSIFICATION, pb.TASK_SEGMENTATION, pb.TASK_DETECTION, pb.TASK_REGRESSION)


def check_graph(manifest: Manifest, engine: Engine) -> None:
    """Checks the manifest of a loaded graph.

    Raises:
        InvalidGraphError: It names tensors that the graph does not have, or leaves out what its task needs.
        UnsupportedError: Its task is unknown; a newer exporter may have written it.

    """
    task, head = task_of(manifest), manifest.head
    if task not in (*_CLASSES, pb.TASK_EMBEDDING):
        raise UnsupportedError(
            f"{engine.name} explains a task that this version does not know. Install a newer camgraph."
        )
    size = head.embedding_size if task == pb.TASK_EMBEDDING else head.num_classes
    if not manifest.layers or size < 1:
        raise InvalidGraphError(f"The manifest of {engine.name} has no layers or no classes. Export the model again.")
    if not all(_needed_tensors(manifest)):
        raise InvalidGraphError(
            f"The manifest of {engine.name} says a graph for {task_name(task)}, but leaves out tensors that such a "
            "graph has. Export the model again."
        )
    if not all(_can_be_laid(axis) for place in _placements(manifest) for axis in (place.rows, place.columns)):
        raise InvalidGraphError(
            f"The manifest of {engine.name} lays a map on the image with cells of no size. Export the model again."
        )
    missing = sorted((_inputs(manifest) - engine.inputs.keys()) | (_outputs(manifest) - engine.outputs.keys()))
    if missing:
        raise InvalidGraphError(
            f"The manifest of {engine.name} names {', '.join(map(repr, missing))}, "
            "which the graph does not have. Export the model again."
        )


def _needed_tensors(manifest: Manifest) -> Iterator[str]:
    """Names that the task cannot do without; an empty one is missing."""
    task, names = task_of(manifest), manifest.target
    yield from (manifest.input.tensor.name, manifest.head.output_name, names.target_score_output)
    if task in _CLASSES:
        yield from (names.target_input, names.target_index_output)
    if task == pb.TASK_SEGMENTATION:
        yield names.mask_input
    if task == pb.TASK_DETECTION:
        yield from (names.anchor_input, names.anchor_index_output)
    if task == pb.TASK_EMBEDDING:
        yield names.cotangent_input


def _placements(manifest: Manifest) -> Iterator[pb.Placement]:
    yield from (layer.placement for layer in manifest.layers if layer.HasField("placement"))
    if manifest.target.HasField("mask_placement"):
        yield manifest.target.mask_placement


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
