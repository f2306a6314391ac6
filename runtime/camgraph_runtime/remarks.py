"""What a user should be told about explanations."""

from __future__ import annotations

from collections.abc import Sequence

from camgraph_core.explanation import Explanation
from camgraph_runtime.maps.cam import METHODS


def warnings_of(explanations: Sequence[Explanation]) -> list[str]:
    """One sentence for each flag, the class in front; and where contrast or sign has nothing to act on."""
    found = [
        f"{explanation.target.name} wins no pixel of the image, and the target has no mask: its score is zero."
        for explanation in explanations
        if explanation.target.area == 0
    ]
    found += [
        f"{explanation.title}: {warning}"
        for explanation in explanations
        for warning in explanation.statistics.warnings()
    ]
    for explanation in explanations:
        if not METHODS[explanation.method].class_dependent and (explanation.contrast or explanation.negative):
            found.append(f"{explanation.method} does not depend on the class: contrast and sign have no effect.")
            break
    return found
