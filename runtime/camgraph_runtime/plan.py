"""What one request asks of a graph: checked once, before any pixel is touched."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from camgraph.v1.manifest_pb2 import Layer, Manifest
from camgraph_runtime.cam import Method, get_method
from camgraph_runtime.errors import (
    InvalidInputError,
    TargetError,
    UnknownLayerError,
    UnsupportedError,
    UsageError,
)
from camgraph_runtime.profiles import Profile, get_profile
from camgraph_runtime.target import Target, target_code


@dataclass(frozen=True)
class Plan:
    """A checked request.

    Attributes:
        targets: The targets, one an explanation.
        codes: Distinct values of the graph's ``target`` input, one a column of its outputs.
        columns: For each target its column, and that of its contrast or None.
        layers: Layers to fuse.
        method: How a layer becomes a map.
        profile: How the maps become a heatmap.
        num_predictions: Number of best classes to list.
        outputs: The graph's outputs that are needed.

    """

    targets: tuple[Target, ...]
    codes: tuple[int, ...]
    columns: tuple[tuple[int, int | None], ...]
    layers: tuple[Layer, ...]
    method: Method
    profile: Profile
    num_predictions: int
    outputs: tuple[str, ...]


def make_plan(
    manifest: Manifest,
    *,
    targets: Sequence[Target],
    top_k: int,
    method: str | None,
    layers: Sequence[str],
    profile: str,
    num_predictions: int,
    max_targets: int,
) -> Plan:
    """Checks a request against a graph's manifest; the arguments are those of ``Explainer.explain``.

    Raises:
        TargetError: A target or ``top_k`` is out of range, or a label is unknown or ambiguous.
        InvalidInputError: More than ``max_targets`` are asked for.
        UnknownLayerError: The graph does not have a layer.
        UsageError: The method or profile does not exist or does not fit, or a number is out of range.
        UnsupportedError: The method needs gradients that the graph does not give.

    """
    wanted = _all_targets(targets, top_k, manifest.head.num_classes, max_targets)
    codes, columns = _columns(wanted, manifest)
    chosen_method = get_method(method or manifest.default_method or "grad-cam")
    chosen_layers = tuple(find_layer(manifest, name) for name in layers) or (manifest.layers[0],)
    chosen_profile = get_profile(profile)
    if not chosen_profile.in_input_frame and len(chosen_layers) > 1:
        raise UsageError(f"The profile {profile} takes one layer; ask for the layers one by one.")
    if num_predictions < 0:
        raise UsageError(f"The number of predictions is {num_predictions}; it cannot be negative.")
    _check_gradients(chosen_method, chosen_layers)
    return Plan(
        targets=wanted,
        codes=codes,
        columns=columns,
        layers=chosen_layers,
        method=chosen_method,
        profile=chosen_profile,
        num_predictions=num_predictions,
        outputs=_outputs(manifest, chosen_method, chosen_layers),
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
    close = difflib.get_close_matches(name, names, n=3) or names[:10]
    raise UnknownLayerError(
        f"The graph does not explain the layer {name!r}; it has {', '.join(close)}. "
        "Other layers are added at export, with --layer."
    )


def _all_targets(
    targets: Sequence[Target], top_k: int, num_classes: int, max_targets: int
) -> tuple[Target, ...]:
    if not 0 <= top_k <= num_classes:
        raise TargetError(
            f"top_k is {top_k}, but the model has {num_classes} classes; give 0 to {num_classes}."
        )
    wanted = (*targets, *(Target.of_rank(rank) for rank in range(1, top_k + 1))) or (Target.of_rank(1),)
    if len(wanted) > max_targets:
        raise InvalidInputError(
            f"{len(wanted)} targets were asked for, but the limit is {max_targets}. Split the request."
        )
    return wanted


def _columns(
    targets: Iterable[Target], manifest: Manifest
) -> tuple[tuple[int, ...], tuple[tuple[int, int | None], ...]]:
    column_of: dict[int, int] = {}

    def column(target: Target) -> int:
        code = target_code(target, manifest.head.num_classes, manifest.class_labels)
        return column_of.setdefault(code, len(column_of))

    columns = tuple(
        (column(target), column(target.contrast) if target.contrast else None) for target in targets
    )
    return tuple(column_of), columns


def _check_gradients(method: Method, layers: Iterable[Layer]) -> None:
    for layer in layers:
        if method.needs_gradients and not layer.gradients_tensor:
            raise UnsupportedError(
                f"The method {method.name} needs the full gradients of {layer.alias or layer.name}, "
                "which this graph does not give. Export the model again with --gradients, or use grad-cam."
            )


def _outputs(manifest: Manifest, method: Method, layers: Iterable[Layer]) -> tuple[str, ...]:
    names = [
        manifest.head.output_name,
        manifest.target.target_index_output,
        manifest.target.target_score_output,
    ]
    for layer in layers:
        names += [layer.activations_tensor, layer.weights_tensor]
        if method.needs_gradients:
            names.append(layer.gradients_tensor)
    return tuple(dict.fromkeys(names))
