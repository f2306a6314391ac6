"""Distances to the nearest of many vectors, in bounded memory."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from camgraph_core.types import FloatArray

_CELLS = 1 << 22
"""Distances that are held at a time: 16 MiB."""

_ROWS = 1 << 14


def nearest(
    vectors: FloatArray,
    bank: FloatArray,
    owners: NDArray[np.int32] | None = None,
    bank_owners: NDArray[np.int32] | None = None,
) -> FloatArray:
    """The Euclidean distance of each vector to the nearest one of a bank, float32 [P]; infinite if all are left out.

    The nearest is found by products of matrices, and its distance is computed from the difference itself, as the
    products cancel out where vectors are close.

    Args:
        vectors: float32 [P, K].
        bank: float32 [M, K].
        owners: With the next, the image of each vector: those of its own image are left out.
        bank_owners: The image of each vector of the bank.

    """
    squares = np.einsum("mk,mk->m", bank, bank)
    found = np.empty(len(vectors), np.float32)
    step = max(1, _CELLS // min(len(bank), _ROWS))
    for start in range(0, len(vectors), step):
        part = slice(start, start + step)
        own = None if owners is None else owners[part]
        index = _nearest_index(vectors[part], bank, squares, own, bank_owners)
        exact = np.linalg.norm(vectors[part] - bank[index], axis=1)
        found[part] = np.where(index >= 0, exact, np.inf)
    return found


def _nearest_index(
    vectors: FloatArray,
    bank: FloatArray,
    squares: FloatArray,
    owners: NDArray[np.int32] | None,
    bank_owners: NDArray[np.int32] | None,
) -> NDArray[np.intp]:
    """The number of the nearest vector of the bank, some rows of it at a time; -1 if all are left out."""
    best = np.full(len(vectors), np.inf, np.float32)
    index = np.full(len(vectors), -1, np.intp)
    for start in range(0, len(bank), _ROWS):
        rows = slice(start, start + _ROWS)
        # |v - b|^2 less |v|^2, which is the same for all b.
        cost = squares[rows] - 2 * (vectors @ bank[rows].T)
        if owners is not None and bank_owners is not None:
            cost[owners[:, None] == bank_owners[None, rows]] = np.inf
        local = cost.argmin(axis=1)
        least = cost[np.arange(len(cost)), local]
        closer = least < best
        best[closer], index[closer] = least[closer], start + local[closer]
    return index
