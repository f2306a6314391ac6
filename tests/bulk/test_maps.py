"""Maps as numbers with a scale."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from camgraph_client.bulk.maps import map_of
from camgraph_runtime import Explainer
from support.serving import photo

MOST = {"8bit": 0.5 / 127, "float16": 2.0**-11}
"""Largest error of a number, as a share of the largest value."""


@pytest.mark.parametrize("numbers", ["8bit", "float16"])
@pytest.mark.parametrize("kind", ["heatmap", "input-heatmap", "signed"])
def test_numbers_times_scale_are_the_map(model: Path, kind: Any, numbers: Any) -> None:
    explainer = Explainer(model)
    [explanation] = explainer.explain(
        photo(), profile="raw" if kind == "signed" else "pytorch-grad-cam", max_side=20
    ).explanations
    stored = map_of(explanation, kind, numbers, 20)
    assert stored is not None
    [raw] = explanation.raw_maps
    wanted = {
        "heatmap": lambda: explanation.heatmap_within(20),
        "input-heatmap": lambda: explanation.input_heatmap,
        "signed": lambda: raw,
    }[kind]()
    assert (stored.height, stored.width) == wanted.shape
    values = stored.numbers.astype(np.float64).reshape(wanted.shape) * stored.scale
    largest = np.abs(wanted).max()
    assert largest > 0
    assert np.abs(values - wanted).max() <= MOST[numbers] * largest * (1 + 1e-6)
    integer = np.int8 if kind == "signed" else np.uint8
    assert stored.numbers.dtype == (np.float16 if numbers == "float16" else integer)


@pytest.mark.parametrize("numbers", ["8bit", "float16"])
@pytest.mark.parametrize(
    "values",
    [
        np.zeros((2, 3), np.float32),
        np.full((2, 3), np.nan, np.float32),
        np.array([[1e30, -2e30]], np.float32),
        np.array([[1e-30, -3e-30, np.inf]], np.float32),
    ],
    ids=["zero", "not a number", "huge", "tiny and infinite"],
)
def test_signed_maps_of_any_size_fit(values: np.ndarray[Any, Any], numbers: Any) -> None:
    class Given:
        input_heatmap = values

    stored = map_of(Given(), "signed", numbers, 1)  # type: ignore[arg-type]  # of which only the map is read
    assert stored is not None
    finite = np.where(np.isfinite(values), values, 0).astype(np.float64)
    back = stored.numbers.astype(np.float64).reshape(values.shape) * stored.scale
    assert np.abs(back - finite).max() <= MOST[numbers] * np.abs(finite).max()


def test_none_keeps_no_map(model: Path) -> None:
    [explanation] = Explainer(model).explain(photo()).explanations
    assert map_of(explanation, "none", "8bit", 224) is None
