"""From the outputs of a run to explanations."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from camgraph.v1.manifest_pb2 import Manifest
from camgraph_core.canvas import Canvas
from camgraph_core.explanation import Explanation
from camgraph_core.frame import Frame
from camgraph_core.laid import nearest
from camgraph_core.statistics import MapStatistics
from camgraph_core.target import Target
from camgraph_core.types import AnyArray, FloatArray
from camgraph_runtime.maps.branches import add_up
from camgraph_runtime.maps.guided import guided_grad_cam
from camgraph_runtime.maps.placement import Placement
from camgraph_runtime.plan import Plan
from camgraph_runtime.tasks.slots import SlotPair
from camgraph_runtime.tasks.task import Outputs, Predictions

_HEATMAP = "input-heatmap"


def explanations_of(
    manifest: Manifest, plan: Plan, outputs: Outputs, canvas: Canvas, predictions: Predictions
) -> list[Explanation]:
    """One explanation for each target of a plan.

    Args:
        manifest: The graph's manifest.
        plan: What was asked.
        outputs: The graph's outputs for this image; targets in the order of ``plan.slots``.
        canvas: What pictures are drawn on and with.
        predictions: Classes and scores.

    """
    explanations = []
    image_gradients = (
        outputs[manifest.image_gradient_tensor] if plan.targets and plan.method.needs_image_gradient else None
    )
    for target, pair in zip(plan.targets, plan.pairs, strict=True):
        parts = ingredients(plan, outputs, target, pair)
        raw_maps = tuple(plan.method(*of_layer) for of_layer in zip(*parts, strict=True))
        slot, against = pair
        given = _Given(
            {"raw-map": raw_maps, "weights": parts.weights, "activations": parts.activations},
            partial(_heatmap, plan, raw_maps, canvas),
        )
        if image_gradients is not None:
            given.add("guided", guided_grad_cam(image_gradients[slot], given[_HEATMAP], manifest.input))
        explanations.append(
            Explanation(
                target=predictions.of_slot(slot),
                contrast=None if against is None else predictions.of_slot(against),
                negative=target.negative,
                statistics=MapStatistics.of(*raw_maps, no_gradient=no_gradient(plan, parts)),
                layers=tuple(layer.name for layer in plan.layers),
                method=plan.method.name,
                in_input_frame=plan.profile.in_input_frame,
                canvas=canvas,
                given=given,
                complete=True,
                marked=predictions.marked(slot),
            )
        )
    return explanations


class _Given(Mapping[str, Any]):
    """The outputs that a run gave, by name; the heatmap is made when it is read first, as not everybody asks for it."""

    def __init__(self, outputs: Mapping[str, Any], make_heatmap: Callable[[], FloatArray]) -> None:
        self._outputs = {_HEATMAP: None, **outputs}
        self._make_heatmap = make_heatmap

    def add(self, name: str, output: Any) -> None:
        """Adds a further output."""
        self._outputs[name] = output

    def __getitem__(self, name: str) -> Any:
        if name == _HEATMAP and self._outputs[name] is None:
            self._outputs[name] = self._make_heatmap()
        return self._outputs[name]

    def __contains__(self, name: object) -> bool:
        return name in self._outputs

    def __iter__(self) -> Iterator[str]:
        return iter(self._outputs)

    def __len__(self) -> int:
        return len(self._outputs)

    def __reduce__(self) -> tuple[type[dict[str, Any]], tuple[dict[str, Any]]]:
        """What is pickled: the values themselves."""
        return dict, (dict(self),)


class Ingredients(NamedTuple):
    """What a map is made of, one array per layer.

    Attributes:
        activations: The layers' activations A.
        weights: The means alpha of the score's gradients over the places.
        gradients: The gradients themselves; None for methods that need none.

    """

    activations: tuple[FloatArray, ...]
    weights: tuple[FloatArray, ...]
    gradients: tuple[FloatArray | None, ...]


def ingredients(plan: Plan, outputs: Outputs, target: Target, pair: SlotPair) -> Ingredients:
    """What the map of a target is made of.

    Args:
        plan: What was asked.
        outputs: The graph's outputs for one image or clip; targets in the order of ``plan.slots``.
        target: The target.
        pair: Its slot, and that of its contrast.

    """
    return Ingredients(
        tuple(outputs[layer.activations_tensor] for layer in plan.layers),
        tuple(_derivative(outputs[layer.weights_tensor], target, pair) for layer in plan.layers),
        tuple(
            _derivative(outputs[layer.gradients_tensor], target, pair) if plan.method.needs_gradients else None
            for layer in plan.layers
        ),
    )


def no_gradient(plan: Plan, parts: Ingredients) -> bool:
    """Whether nothing moves the score at any layer; a mean of zero says so, too, as cells do not cancel out exactly."""
    if not plan.method.class_dependent:
        return False
    pairs = zip(parts.weights, parts.gradients, strict=True)
    return not any((mean if full is None else full).any() for mean, full in pairs)


def _derivative(of_slots: AnyArray, target: Target, pair: SlotPair) -> FloatArray:
    """A derivative of one target's score: of y_a, or y_a - y_b with a contrast; negated if the target is negative.

    Differentiation is linear, so the difference of two scores needs no run of its own.
    """
    slot, against = pair
    value: FloatArray = of_slots[slot] if against is None else of_slots[slot] - of_slots[against]
    return np.negative(value) if target.negative else value


def _heatmap(plan: Plan, raw_maps: tuple[FloatArray, ...], canvas: Canvas) -> FloatArray:
    size = canvas.frame.network_size
    places = [Placement.of_layer(layer, size, raw.shape) for layer, raw in zip(plan.layers, raw_maps, strict=True)]
    cells, places = add_up(raw_maps, places) if plan.adds_up else (raw_maps, places)
    heatmap = plan.profile(cells, size, places)
    if canvas.missing is None or not plan.profile.in_input_frame:
        return heatmap
    return np.where(_on_input(canvas.missing, canvas.frame), np.float32(0), heatmap)


def _on_input(missing: AnyArray, frame: Frame) -> AnyArray:
    """Where the network's input has no data, bool [h, w], from where the photo has none."""
    down, across = (np.arange(length) + 0.5 for length in frame.network_size)
    whole = nearest(missing, frame.photo_size)
    return np.asarray(frame.nearest(whole.astype(np.uint8), down, across) != 0)
