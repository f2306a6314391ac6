"""From the outputs of a run over a clip to explanations."""

from __future__ import annotations

from collections.abc import Sequence

from camgraph_core.canvas import Canvas
from camgraph_core.clips import ClipExplanation, Taken
from camgraph_core.statistics import MapStatistics
from camgraph_runtime.clips.maps import heat_of, raw_map
from camgraph_runtime.explanations import ingredients, no_gradient
from camgraph_runtime.plan import Plan
from camgraph_runtime.tasks.task import Outputs, Predictions


def clip_explanations(
    plan: Plan, outputs: Outputs, canvases: Sequence[Canvas], predictions: Predictions, taken: Taken
) -> list[ClipExplanation]:
    """One explanation for each target of a plan.

    Args:
        plan: What was asked.
        outputs: The graph's outputs for this clip; targets in the order of ``plan.slots``.
        canvases: What pictures of each frame are drawn on and with.
        predictions: Classes and scores.
        taken: Which frames they are.

    """
    explanations = []
    for target, pair in zip(plan.targets, plan.pairs, strict=True):
        parts = ingredients(plan, outputs, target, pair)
        raw_maps = tuple(raw_map(plan.method, *of_layer) for of_layer in zip(*parts, strict=True))
        size = canvases[0].frame.network_size
        heat = heat_of(raw_maps, plan.layers, size, len(canvases), adds_up=plan.adds_up)
        slot, against = pair
        explanations.append(
            ClipExplanation(
                target=predictions.of_slot(slot),
                contrast=None if against is None else predictions.of_slot(against),
                negative=target.negative,
                statistics=MapStatistics.of(*raw_maps, no_gradient=no_gradient(plan, parts)),
                layers=tuple(layer.name for layer in plan.layers),
                method=plan.method.name,
                canvases=canvases,
                taken=taken,
                given={
                    "input-heatmap": heat,
                    "raw-map": raw_maps,
                    "weights": parts.weights,
                    "activations": parts.activations,
                },
                complete=True,
            )
        )
    return explanations
