"""What a result says of contrasts that show nothing."""

from __future__ import annotations

from dataclasses import replace

from camgraph_runtime import Explainer, Target
from support.tiny_explainer import tensor


def test_a_contrast_that_has_no_effect_is_said(explainer: Explainer) -> None:
    result = explainer.explain(tensor=tensor(), method="eigen-cam", targets=[Target.index(0, negative=True)])
    assert any("does not depend on the class" in warning for warning in result.warnings)


def test_a_contrast_that_turns_out_to_be_the_target_is_said(explainer: Explainer) -> None:
    best = explainer.explain(tensor=tensor()).predictions[0]
    same, other = Target.index(best.class_index), Target.of_rank(1)
    warnings = explainer.explain(tensor=tensor(), targets=[replace(same, contrast=other)]).warnings
    assert any(f"{best.label}, not {best.label}: the class is held against itself" in warning for warning in warnings)
