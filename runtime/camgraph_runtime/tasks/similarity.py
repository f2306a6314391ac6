"""Cosine similarity of an embedding to those of other images, as a direction that a graph for embeddings takes."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from camgraph_core.errors import NotInImageError, TargetError
from camgraph_core.place import Direction, References
from camgraph_core.types import FloatArray

_ROUNDING = 1e-6
"""Differences of two unit vectors of float32 that are smaller than this are rounding."""


@dataclass(frozen=True, eq=False)
class Likeness(Direction):
    """The gradient of the cosine similarity to references with respect to the embedding, for one image.

    Attributes:
        array: float32 [D].
        similarity: The cosine similarity, -1..1.
        label: What it is held against.

    """

    similarity: float
    label: str

    @cached_property
    def _key(self) -> Hashable:
        return super()._key, self.similarity, self.label

    @property
    def is_flat(self) -> bool:
        """Whether the gradient is zero: the image points where the references do, or the other way."""
        return not self.array.any()


def likeness(references: References, embedding: FloatArray) -> Likeness:
    """The likeness of an embedding to references.

    With unit vectors u of the embedding e and r of the references, the similarity is u . r, and its gradient
    (r - (u . r) u) / |e|. Where u and r agree up to the rounding of float32, the gradient is zero.

    Args:
        references: The other images.
        embedding: float32 [D].

    Raises:
        NotInImageError: The embedding has no direction.
        TargetError: The mean of the references has none.

    """
    vector = embedding.astype(np.float64)
    length = np.linalg.norm(vector)
    if not (np.isfinite(length) and length > 0):
        what = "zero everywhere" if length == 0 else "not of finite numbers"
        raise NotInImageError(f"The embedding of the image is {what}, so it is similar to nothing. Send another image.")
    unit = vector / length
    toward, label = _reference(references, unit)
    similarity = float(unit @ toward)
    across = toward - similarity * unit
    if np.abs(across).max() <= _ROUNDING:
        across = np.zeros_like(across)
    return Likeness((across / length).astype(np.float32), similarity, label)


def _reference(references: References, unit: np.ndarray) -> tuple[np.ndarray, str]:
    """The unit vector that references stand for, and what it is called."""
    rows = references.array.astype(np.float64)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    if references.mode == "nearest":
        nearest = int(np.argmax(rows @ unit))
        return rows[nearest], references.name(nearest)
    mean = rows.mean(axis=0)
    length = np.linalg.norm(mean)
    if length <= _ROUNDING:
        raise TargetError("The references cancel out: their mean has no direction. Take the nearest of them instead.")
    return mean / length, references.name_of_all
