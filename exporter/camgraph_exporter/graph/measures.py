"""How far two arrays are apart."""

from __future__ import annotations

import numpy as np

_SMALLEST = 1e-30


def relative_l2(a: np.ndarray, b: np.ndarray) -> float:
    """Return |a - b| / |b|; infinite where an element is not finite."""
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if a.shape != b.shape or not np.isfinite(a).all():
        return float("inf")
    return float(np.linalg.norm(a - b)) / max(float(np.linalg.norm(b)), _SMALLEST)


def relative_to_largest(a: np.ndarray, b: np.ndarray) -> float:
    """Return max |a - b| / max |b|; infinite where an element is finite in one of them only.

    Elements that are not finite in both must be the same. Of what are not numbers it is 0 if all are the same, else 1.
    """
    if a.shape != b.shape:
        return float("inf")
    if not np.issubdtype(a.dtype, np.number):
        return float(not np.array_equal(a, b))
    a, b = a.astype(np.float64), b.astype(np.float64)
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    if not np.isfinite(a[~same]).all() or not np.isfinite(b[~same]).all():
        return float("inf")
    largest = float(np.abs(b[np.isfinite(b)]).max(initial=0.0))
    return float(np.abs(a[~same] - b[~same]).max(initial=0.0)) / max(largest, _SMALLEST)
