"""Flags tell an empty map from a constant one and from a broken one."""

from __future__ import annotations

import numpy as np
import pytest

from camgraph_core.statistics import MapStatistics
from camgraph_runtime.maps.cam import METHODS
from camgraph_runtime.maps.profiles import pytorch_grad_cam


def grid(*values: float) -> np.ndarray:
    return np.array(values, np.float32).reshape(1, -1)


def test_numbers() -> None:
    statistics = MapStatistics.of(grid(-1, 0, 2, 3))
    assert (statistics.minimum, statistics.maximum, statistics.mean) == (-1, 3, 1)
    assert statistics.positive_share == 0.5
    assert statistics.warnings() == []


def test_numbers_are_those_of_the_finite_cells() -> None:
    statistics = MapStatistics.of(grid(np.inf, np.nan, -1, -2, 4))
    assert (statistics.minimum, statistics.maximum) == (-2, 4)
    assert statistics.mean == statistics.positive_share == pytest.approx(1 / 3)
    broken = MapStatistics.of(grid(np.inf, np.nan))
    assert (broken.minimum, broken.maximum, broken.mean, broken.positive_share) == (0, 0, 0, 0)


def test_several_layers_are_taken_together() -> None:
    statistics = MapStatistics.of(grid(-1, 1), grid(4, 4, 4, 4))
    assert (statistics.minimum, statistics.maximum) == (-1, 4)
    assert statistics.positive_share == pytest.approx(5 / 6)
    assert not statistics.constant
    assert MapStatistics.of(grid(1, 1), grid(4, 4)).constant


def test_a_layer_that_is_not_reached_is_said_before_all_that_follows_from_it() -> None:
    statistics = MapStatistics.of(grid(0, 0), no_gradient=True)
    assert statistics.all_nonpositive
    [warning] = statistics.warnings()
    assert warning.startswith("The score does not depend on the layer")


@pytest.mark.parametrize(
    ("cells", "flags"),
    [
        (grid(0, 0, 0), {"all_nonpositive", "constant"}),
        (grid(-1, -2, 0), {"all_nonpositive"}),
        (grid(2, 2, 2), {"constant"}),
        (grid(1, np.nan, 2), {"nonfinite"}),
        (grid(-1, np.nan, -2), {"nonfinite"}),
        (grid(2, np.nan, 2), {"nonfinite"}),
        (grid(1, np.inf, 2), {"nonfinite"}),
        (grid(np.nan, np.nan), {"nonfinite"}),
        (grid(-1, 1), set()),
    ],
)
def test_flags(cells: np.ndarray, flags: set[str]) -> None:
    statistics = MapStatistics.of(cells)
    assert {name for name in ("all_nonpositive", "constant", "nonfinite") if getattr(statistics, name)} == flags
    assert len(statistics.warnings()) == (1 if flags else 0)


@pytest.mark.parametrize("value", [0.0, 5.0, -5.0])
def test_zero_and_constant_maps_look_alike_so_flags_are_needed(value: float) -> None:
    np.testing.assert_array_equal(pytorch_grad_cam([np.full((3, 3), value, np.float32)], (6, 6)), np.zeros((6, 6)))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_no_method_crashes_on_values_that_are_not_finite(method: str, bad: float) -> None:
    activations = np.random.default_rng(0).random((3, 4, 4), np.float32)
    activations[1, 2, 2] = bad
    gradients = np.ones_like(activations)
    with np.errstate(invalid="ignore"):
        raw = METHODS[method](activations, gradients.mean(axis=(1, 2)), gradients)
    assert raw.shape == (4, 4)
    ignores_nan = method in ("eigen-cam", "eigen-grad-cam") and np.isnan(bad)
    assert MapStatistics.of(raw).nonfinite != ignores_nan
