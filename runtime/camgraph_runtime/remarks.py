"""What a user should be told about a run and its explanations."""

from __future__ import annotations

from collections.abc import Sequence

from camgraph_core.clips import AnyExplanation
from camgraph_core.result import ClassScore
from camgraph_runtime.maps.cam import METHODS
from camgraph_runtime.plan import Plan
from camgraph_runtime.tasks.task import Predictions


def remarks_of(plan: Plan, predictions: Predictions) -> list[str]:
    """What is said of the places of targets, and of classes that `Predictions.best` was asked for and did not list."""
    of_places = [slot.remark for slot in plan.slots if slot.remark]
    return [*of_places, *(predictions.warnings if plan.request.num_predictions else ())]


def warnings_of(explanations: Sequence[AnyExplanation]) -> list[str]:
    """One sentence for each flag, the class in front; and where contrast or sign has nothing to act on."""
    found = [
        f"{explanation.title}: the score of the box is below the threshold, so it counts as no object."
        for explanation in explanations
        if explanation.target.below_threshold
    ]
    found += [
        f"{explanation.target.name} wins no pixel of the image, and the target has no mask: its score is zero."
        for explanation in explanations
        if explanation.target.area == 0
    ]
    found += [
        f"{explanation.title}: {warning}"
        for explanation in explanations
        if explanation.target.area != 0  # which says it all
        for warning in explanation.statistics.warnings()
    ]
    found += [
        f"{explanation.title}: the class is held against itself, so the map is zero everywhere."
        for explanation in explanations
        if explanation.contrast is not None and _is_same(explanation.target, explanation.contrast)
    ]
    for explanation in explanations:
        if not METHODS[explanation.method].class_dependent and (explanation.contrast or explanation.negative):
            found.append(f"{explanation.method} does not depend on the class: contrast and sign have no effect.")
            break
    return found


def _is_same(target: ClassScore, contrast: ClassScore) -> bool:
    """Whether two targets that were said in different ways turned out to be one."""
    same = (target.class_index, target.anchor, target.area) == (contrast.class_index, contrast.anchor, contrast.area)
    return same and target.score == contrast.score
