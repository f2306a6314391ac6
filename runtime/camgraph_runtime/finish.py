"""From the outputs of a run to predictions and heatmaps."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from camgraph.v1.manifest_pb2 import Layer, Manifest
from camgraph_runtime.head import ClassValues, read_head
from camgraph_runtime.plan import Plan
from camgraph_runtime.preprocess import Frame
from camgraph_runtime.result import ClassScore, Explanation
from camgraph_runtime.statistics import MapStatistics
from camgraph_runtime.types import AnyArray, FloatArray

Outputs = Mapping[str, AnyArray]


def finish(
    manifest: Manifest, plan: Plan, outputs: Outputs, frame: Frame
) -> tuple[list[ClassScore], list[Explanation]]:
    """Predictions and explanations of one image.

    Args:
        manifest: The graph's manifest.
        plan: What was asked.
        outputs: The graph's outputs for this image, without the batch axis; targets in the order of
            ``plan.codes``.
        frame: Where the photo lies in the network's input.

    """
    indices = outputs[manifest.target.target_index_output]
    scores = outputs[manifest.target.target_score_output]
    known = {int(index): float(score) for index, score in zip(indices, scores, strict=False)}
    values = read_head(outputs[manifest.head.output_name], manifest.head, known)

    def class_score(index: int) -> ClassScore:
        return _class_score(index, values, manifest)

    predictions = [class_score(index) for index in values.best(plan.num_predictions)]
    explanations = []
    for number, (column, against) in enumerate(plan.columns):
        explanations.append(
            _explain(
                plan,
                outputs,
                frame,
                number,
                target=class_score(int(indices[column])),
                contrast=None if against is None else class_score(int(indices[against])),
            )
        )
    return predictions, explanations


def _explain(
    plan: Plan,
    outputs: Outputs,
    frame: Frame,
    number: int,
    *,
    target: ClassScore,
    contrast: ClassScore | None,
) -> Explanation:
    activations = tuple(outputs[layer.activations_tensor] for layer in plan.layers)
    weights = tuple(_signed(plan, outputs[layer.weights_tensor], number) for layer in plan.layers)
    raw_maps = tuple(
        plan.method(a, w, _gradients(plan, outputs, layer, number))
        for a, w, layer in zip(activations, weights, plan.layers, strict=True)
    )
    input_heatmap = plan.profile(raw_maps, (frame.vertical.network, frame.horizontal.network))
    heatmap = frame.to_photo(input_heatmap) if plan.profile.in_input_frame else input_heatmap
    return Explanation(
        target=target,
        contrast=contrast,
        negative=plan.targets[number].negative,
        heatmap=heatmap,
        input_heatmap=input_heatmap,
        raw_maps=raw_maps,
        weights=weights,
        activations=activations,
        statistics=MapStatistics.of(*raw_maps),
        layers=tuple(layer.name for layer in plan.layers),
        method=plan.method.name,
    )


def _gradients(plan: Plan, outputs: Outputs, layer: Layer, number: int) -> FloatArray | None:
    return _signed(plan, outputs[layer.gradients_tensor], number) if plan.method.needs_gradients else None


def _signed(plan: Plan, derivatives: AnyArray, number: int) -> FloatArray:
    """Derivatives [T, ...] of one explanation's score: y_a, y_a - y_b with a contrast, negated if it is
    negative.

    Differentiation is linear, so the difference of two scores needs no run of its own.
    """
    column, against = plan.columns[number]
    value: FloatArray = derivatives[column]
    if against is not None:
        value = value - derivatives[against]
    return np.negative(value) if plan.targets[number].negative else value


def _class_score(index: int, values: ClassValues, manifest: Manifest) -> ClassScore:
    labels = manifest.class_labels
    return ClassScore(
        class_index=index,
        label=labels[index] if index < len(labels) else "",
        score=float(values.scores[index]),
        probability=float(values.probabilities[index]),
    )
