"""What one request asks of a graph: checked once, before any pixel is touched."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from camgraph.v1.manifest_pb2 import Layer, Manifest
from camgraph_core.errors import (
    InvalidInputError,
    TargetError,
    UnknownLayerError,
    UnsupportedError,
    UsageError,
)
from camgraph_core.names import closest_names
from camgraph_core.outputs import check_possible
from camgraph_core.request import Request
from camgraph_core.target import Target
from camgraph_runtime.maps.cam import Method, get_method
from camgraph_runtime.maps.profiles import Profile, get_profile
from camgraph_runtime.tasks.slots import SlotPair, TargetSlot, distinct_slots
from camgraph_runtime.tasks.task import Task


@dataclass(frozen=True)
class Plan:
    """A checked request.

    Attributes:
        request: What was asked.
        targets: The targets, one per explanation; none for predictions alone.
        slots: Distinct slots of the graph's target inputs and outputs; at least one.
        pairs: For each target its slot, and that of its contrast or None.
        layers: Layers to fuse.
        adds_up: True if they are parallel branches, whose evidence adds up; else each is scaled by itself first.
        method: How a layer becomes a map.
        profile: How the maps become a heatmap.
        outputs: The graph's outputs that are needed.
        looked_ms: Time of the run that told which objects the targets mean, if there was one.

    """

    request: Request
    targets: tuple[Target, ...]
    slots: tuple[TargetSlot, ...]
    pairs: tuple[SlotPair, ...]
    layers: tuple[Layer, ...]
    adds_up: bool
    method: Method
    profile: Profile
    outputs: tuple[str, ...]
    looked_ms: float = 0.0


def make_plan(task: Task, request: Request, *, max_targets: int, has_photo: bool = True) -> Plan:
    """Checks a request against a graph.

    Raises:
        TargetError: A target or ``top_k`` is out of range, or a label is unknown or ambiguous.
        InvalidInputError: More than ``max_targets`` are asked for, or an output that this request cannot have.
        UnknownLayerError: The graph does not have a layer.
        UsageError: The method or profile does not exist or does not fit.
        UnsupportedError: The graph lacks what the method or a target needs.

    """
    manifest = task.manifest
    wanted = (*request.targets, *task.best_targets(request.top_k)) or tuple(task.default_targets())
    if len(wanted) > max_targets:
        raise InvalidInputError(
            f"{len(wanted)} targets were asked for, but the limit is {max_targets}. Split the request."
        )
    slots, pairs = distinct_slots(wanted, task.slot)
    _check_contrasts(wanted, pairs)
    chosen_method = get_method(request.method or manifest.default_method or "grad-cam")
    chosen_layers = tuple(find_layer(manifest, name) for name in request.layers) or tuple(
        manifest.layers[: manifest.branches or 1]
    )
    chosen_profile = get_profile(request.profile)
    adds_up = not request.layers and len(chosen_layers) > 1
    if not chosen_profile.in_input_frame and len(chosen_layers) > 1 and not adds_up:
        raise UsageError(f"The profile {request.profile} takes one layer; ask for the layers one by one.")
    check_possible(
        request.outputs,
        has_photo=has_photo,
        in_unit_range=chosen_profile.in_input_frame,
        has_guided=chosen_method.needs_image_gradient,
        method=chosen_method.name,
    )
    _check_gradients(chosen_method, chosen_layers)
    if chosen_method.needs_image_gradient:
        _check_guided(chosen_method, manifest, chosen_profile, wanted)
    return Plan(
        request=request,
        targets=wanted,
        slots=slots or (task.prediction_slot(),),
        pairs=pairs,
        layers=chosen_layers,
        adds_up=adds_up,
        method=chosen_method,
        profile=chosen_profile,
        outputs=tuple(dict.fromkeys(_outputs(task, chosen_method, chosen_layers if wanted else ()))),
    )


def replan(plan: Plan, task: Task, targets: Sequence[Target], *, looked_ms: float) -> Plan:
    """The plan with other targets, after a run that told what they are."""
    slots, pairs = distinct_slots(targets, task.slot)
    return replace(
        plan,
        targets=tuple(targets),
        slots=slots or (task.prediction_slot(),),
        pairs=pairs,
        looked_ms=looked_ms,
    )


def make_prediction_plan(task: Task, request: Request) -> Plan:
    """The plan of a request that explains nothing."""
    return Plan(
        request=request,
        targets=(),
        slots=(task.prediction_slot(),),
        pairs=(),
        layers=(),
        adds_up=False,
        method=get_method("grad-cam"),
        profile=get_profile("raw"),
        outputs=tuple(task.prediction_outputs()),
    )


def find_layer(manifest: Manifest, name: str) -> Layer:
    """The layer of a name or alias.

    Raises:
        UnknownLayerError: There is none; the graph's layers, or the closest of them, are listed.

    """
    for layer in manifest.layers:
        if name in (layer.name, layer.alias):
            return layer
    names = [layer.alias or layer.name for layer in manifest.layers]
    close = closest_names(name, names) or names[:10]
    raise UnknownLayerError(
        f"The graph does not explain the layer {name!r}; it has {', '.join(close)}. "
        "Other layers are added at export, with --layer."
    )


def _check_contrasts(targets: Iterable[Target], pairs: Iterable[SlotPair]) -> None:
    for target, (slot, against) in zip(targets, pairs, strict=True):
        if slot == against:
            raise TargetError(
                f"The target ({target.said}) is held against itself, and the difference is zero everywhere. "
                "Name another class as its contrast."
            )


def _check_gradients(method: Method, layers: Iterable[Layer]) -> None:
    for layer in layers:
        if method.needs_gradients and not layer.gradients_tensor:
            raise UnsupportedError(
                f"The method {method.name} needs the full gradients of {layer.alias or layer.name}, "
                "which this graph does not give. Export the model again with --gradients, or use grad-cam."
            )


def _check_guided(method: Method, manifest: Manifest, profile: Profile, targets: Iterable[Target]) -> None:
    if not manifest.image_gradient_tensor:
        raise UnsupportedError(
            f"The method {method.name} needs the guided image gradient, which this graph does not give. "
            "Export the model again with --guided, or use grad-cam."
        )
    if not profile.in_input_frame:
        raise UsageError(f"The method {method.name} scales its map itself; leave the profile {profile.name} out.")
    if any(target.contrast is not None or target.negative for target in targets):
        raise UsageError(
            f"The method {method.name} takes neither contrast nor negative, as guided backpropagation is not "
            "linear in the score. Use grad-cam for them."
        )


def _outputs(task: Task, method: Method, layers: Sequence[Layer]) -> Iterable[str]:
    yield from task.prediction_outputs()
    for layer in layers:
        yield from (layer.activations_tensor, layer.weights_tensor)
        if method.needs_gradients:
            yield layer.gradients_tensor
    if method.needs_image_gradient and layers:
        yield task.manifest.image_gradient_tensor
