"""A few vectors that stand for many: the greedy k-centre of Sener and Savarese 2018, as PatchCore takes it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from camgraph_core.types import FloatArray

_DIMENSIONS = 64
"""Longer vectors are projected on so many random directions first, which keeps distances to about an eighth."""


def greedy_coreset(vectors: FloatArray, count: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """The numbers of ``count`` vectors [P, K], each the farthest from those before it; all if there are no more.

    It takes P x count x min(K, 64) multiplications, and memory for P x min(K, 64) numbers.
    """
    if count >= len(vectors):
        return np.arange(len(vectors))
    length = vectors.shape[1]
    if length > _DIMENSIONS:
        vectors = vectors @ (rng.standard_normal((length, _DIMENSIONS)) / np.sqrt(_DIMENSIONS)).astype(np.float32)
    squares = np.einsum("pk,pk->p", vectors, vectors)
    chosen = np.empty(count, np.intp)
    chosen[0] = rng.integers(len(vectors))
    away = np.full(len(vectors), np.inf, np.float32)
    for number in range(1, count):
        last = chosen[number - 1]
        np.minimum(away, squares - 2 * (vectors @ vectors[last]) + squares[last], out=away)
        away[last] = -np.inf
        chosen[number] = away.argmax()
    return chosen
