"""Whether a server says what the runtime says in this process."""

from __future__ import annotations

import math
from dataclasses import astuple
from typing import Any

import numpy as np
import pytest

from camgraph_client import RemoteResult
from camgraph_runtime import ClassScore, Result


def numbers(score: ClassScore | None) -> list[Any]:
    """What can be compared: scores as float32, as they travel; not a number equals itself here."""
    if score is None:
        return []
    rounded = float(np.float32(score.score))
    values = [score.class_index, score.label, rounded, score.probability, score.anchor, score.area, score.value]
    return ["nan" if isinstance(value, float) and math.isnan(value) else value for value in values]


def assert_same(remote: RemoteResult, local: Result) -> None:
    assert [numbers(score) for score in remote.predictions] == [numbers(score) for score in local.predictions]
    assert remote.warnings == local.warnings
    for got, wanted in zip(remote.explanations, local.explanations, strict=True):
        assert numbers(got.target) == numbers(wanted.target)
        assert numbers(got.contrast) == numbers(wanted.contrast)
        # They travel as float32.
        assert astuple(got.statistics) == pytest.approx(astuple(wanted.statistics), rel=1e-6)
        assert got.layers == wanted.layers
        np.testing.assert_array_equal(got.heatmap, wanted.heatmap)
        for number, layer in enumerate(wanted.layers):
            np.testing.assert_array_equal(got.weights[layer], wanted.weights[number])
            np.testing.assert_array_equal(got.raw_maps[layer], wanted.raw_maps[number])
