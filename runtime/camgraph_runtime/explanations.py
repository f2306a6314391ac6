"""From the outputs of a run to predictions and heatmaps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.explanation import Explanation
from camgraph_core.frame import Frame
from camgraph_core.statistics import MapStatistics
from camgraph_core.types import AnyArray, FloatArray
from camgraph_runtime.maps.branches import add_up
from camgraph_runtime.maps.guided import guided_grad_cam
from camgraph_runtime.maps.placement import Placement
from camgraph_runtime.plan import Plan
from camgraph_runtime.tasks import Outputs, Reading


@dataclass(frozen=True)
class Finish:
    """Turns one image's outputs into explanations.

    Attributes:
        manifest: The graph's manifest.
        plan: What was asked.
        outputs: The graph's outputs for this image, without the batch axis; targets in the order of
            ``plan.columns``.
        frame: Where the photo lies in the network's input.
        reading: Classes and scores.

    """

    manifest: pb.Manifest
    plan: Plan
    outputs: Outputs
    frame: Frame
    reading: Reading

    def explanations(self) -> list[Explanation]:
        """One explanation a target."""
        return [self._explanation(number) for number in range(len(self.plan.targets))]

    def _explanation(self, number: int) -> Explanation:
        plan, outputs = self.plan, self.outputs
        column, against = plan.pairs[number]
        activations = tuple(outputs[layer.activations_tensor] for layer in plan.layers)
        weights = tuple(self._signed(layer.weights_tensor, number) for layer in plan.layers)
        raw_maps = tuple(
            plan.method(a, w, self._gradients(layer, number))
            for a, w, layer in zip(activations, weights, plan.layers, strict=True)
        )
        size = self.frame.network_size
        placements = [
            Placement.of_layer(layer, size, raw.shape) for layer, raw in zip(plan.layers, raw_maps, strict=True)
        ]
        cells, places = add_up(raw_maps, placements) if plan.adds_up else (raw_maps, placements)
        input_heatmap = plan.profile(cells, size, places)
        return Explanation(
            target=self.reading.target(column),
            contrast=None if against is None else self.reading.target(against),
            negative=plan.targets[number].negative,
            input_heatmap=input_heatmap,
            frame=self.frame,
            in_input_frame=plan.profile.in_input_frame,
            raw_maps=raw_maps,
            weights=weights,
            activations=activations,
            statistics=MapStatistics.of(*raw_maps),
            layers=tuple(layer.name for layer in plan.layers),
            method=plan.method.name,
            mask=plan.targets[number].mask,
            guided=self._guided(column, input_heatmap),
        )

    def _gradients(self, layer: pb.Layer, number: int) -> FloatArray | None:
        return self._signed(layer.gradients_tensor, number) if self.plan.method.needs_gradients else None

    def _guided(self, column: int, heatmap: FloatArray) -> FloatArray | None:
        if not self.plan.method.needs_image_gradient:
            return None
        gradient: AnyArray = self.outputs[self.manifest.image_gradient_tensor][column]
        return guided_grad_cam(gradient, heatmap, self.manifest.input)

    def _signed(self, tensor: str, number: int) -> FloatArray:
        """Derivatives of one explanation's score: y_a, y_a - y_b with a contrast, negated if it is negative.

        Differentiation is linear, so the difference of two scores needs no run of its own.
        """
        column, against = self.plan.pairs[number]
        derivatives = self.outputs[tensor]
        value: FloatArray = derivatives[column]
        if against is not None:
            value = value - derivatives[against]
        return np.negative(value) if self.plan.targets[number].negative else value
