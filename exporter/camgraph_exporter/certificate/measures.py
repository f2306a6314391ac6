"""Errors of many places, and of slopes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

_SMALLEST = 1e-30


def note_worst(errors: dict[str, float], new: Mapping[str, float]) -> None:
    """Keep the larger error of each place."""
    for name, error in new.items():
        errors[name] = max(error, errors.get(name, 0.0))


def slope_errors(got: np.ndarray, expected: np.ndarray, typical: np.ndarray) -> np.ndarray:
    """Compare slopes relative to their size, or to a tenth of a typical slope where the one at hand nearly cancels.

    What is not finite is infinitely wrong.
    """
    error = np.abs(got - expected) / np.maximum(np.maximum(np.abs(expected), 0.1 * typical), _SMALLEST)
    return np.where(np.isfinite(error), error, np.inf)
