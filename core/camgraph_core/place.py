"""What a target names beside its class: pixels or a region, a box or an object, a direction, or other images."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self, TypeAlias

import numpy as np

from camgraph_core.errors import TargetError
from camgraph_core.types import AnyArray, ByteArray, FloatArray

REFERENCE_MODES = ("mean", "nearest")
MOST_REFERENCES = 1024
MOST_CORNERS = 10_000
"""Of a polygon; each takes time with every row of the score map."""

_FARTHEST = 1e9
"""Pixels that a corner may lie away from the photo's; numbers that are larger overflow."""


@dataclass(frozen=True, eq=False)
class _OfArray:
    """Compares and hashes by the elements of its array, which no one may change."""

    array: AnyArray

    def _keep(self, array: AnyArray) -> None:
        array.setflags(write=False)
        object.__setattr__(self, "array", array)

    def __eq__(self, other: object) -> bool:
        return self._key == other._key if isinstance(other, type(self)) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._key)

    @cached_property
    def _key(self) -> Hashable:
        return self.array.dtype.str, self.array.shape, self.array.tobytes()


@dataclass(frozen=True, eq=False)
class Mask(_OfArray):
    """Segmentation: the pixels whose scores of the class are summed.

    Attributes:
        array: uint8 [H, W], 1 inside and 0 outside; given as any numbers, non-zero inside. It has the size of the
            photo (of the input where a tensor is given), or that of the score map. All zero: where the class wins.
        on_scores: It marks the cells of the score map, also where the photo has the same size.

    Raises:
        TargetError: The array is not one of numbers with two axes.

    """

    array: ByteArray
    on_scores: bool = False

    def __post_init__(self) -> None:
        mask: AnyArray = np.asarray(self.array)
        if mask.ndim != 2 or mask.dtype.kind not in "buif" or mask.size == 0:
            raise TargetError(
                f"A mask is an array [H, W] of numbers, non-zero inside; this one is {mask.dtype} {list(mask.shape)}."
            )
        self._keep((mask != 0).astype(np.uint8))

    @cached_property
    def _key(self) -> Hashable:
        return self.array.shape, self.array.tobytes(), self.on_scores


@dataclass(frozen=True)
class Polygon:
    """Segmentation: the pixels inside a polygon, whose scores of the class are summed.

    A pixel is inside if a line from it to the outside crosses the edges an odd number of times, so that a polygon that
    crosses itself has holes.

    Attributes:
        corners: At least three pairs (x, y), in pixels of the photo (of the input where a tensor is given), where pixel
            i covers [i, i + 1). The last one is joined to the first.

    Raises:
        TargetError: There are too few or too many corners, or a number is not finite or too large.

    """

    corners: Sequence[tuple[float, float]]

    def __post_init__(self) -> None:
        try:
            corners = tuple((float(x), float(y)) for x, y in self.corners)
        except (TypeError, ValueError) as error:
            raise TargetError("A polygon is a sequence of pairs (x, y) of numbers.") from error
        object.__setattr__(self, "corners", corners)
        if not 3 <= len(corners) <= MOST_CORNERS:
            raise TargetError(f"A polygon has 3 to {MOST_CORNERS} corners, but this one has {len(corners)}.")
        if not all(abs(number) <= _FARTHEST for corner in corners for number in corner):
            raise TargetError(
                "The corners of a polygon are finite numbers of pixels, at most a billion, but this one has others."
            )

    @classmethod
    def parse(cls, text: str) -> Self:
        """The polygon as written on a command line, ``10,20 90,20 50,80``.

        Raises:
            TargetError: The text is not one.

        """
        try:
            corners = [tuple(map(float, corner.split(","))) for corner in text.split()]
        except ValueError:
            corners = []
        if not corners or any(len(corner) != 2 for corner in corners):
            raise TargetError(f"The polygon {text[:60]!r} is not a list of corners X,Y, such as '10,20 90,20 50,80'.")
        return cls([(x, y) for x, y in corners])


@dataclass(frozen=True)
class Region:
    """Segmentation: a connected region of the prediction, by its rank; pixels that touch at a corner are connected.

    Attributes:
        rank: 1 is the one with the largest area; with a class among the regions of that class, else among those of all
            classes (of a single mask, among those of the object).

    Raises:
        TargetError: The rank is not a whole number from 1 on.

    """

    rank: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "rank", _rank(self.rank, "region"))


@dataclass(frozen=True, eq=False)
class Direction(_OfArray):
    """Embedding: the direction that the embedding is projected on.

    Attributes:
        array: float32 [D].

    Raises:
        TargetError: The array is not one of finite numbers with one axis.

    """

    array: FloatArray

    def __post_init__(self) -> None:
        direction: AnyArray = np.asarray(self.array)
        if direction.ndim != 1 or direction.dtype.kind not in "iuf" or not np.isfinite(direction).all():
            raise TargetError(
                f"A cotangent is an array [D] of finite numbers; this one is {direction.dtype} {list(direction.shape)}."
            )
        self._keep(direction.astype(np.float32))


@dataclass(frozen=True, eq=False)
class References(_OfArray):
    """Embedding: other images that this one is held against; the score is the cosine similarity of the embeddings.

    Attributes:
        array: Their embeddings, float32 [R, D]; [D] is taken as one.
        names: What each is called in the result, such as its file; without them they are numbered.
        mode: How several are taken together. "mean": the mean of their directions, which is what they have in common;
            "nearest": the one that is most similar to the image, alone.

    Raises:
        TargetError: The array is not one of finite numbers with two axes, a row of it is zero, there are more than
            1024, or names or mode do not fit.

    """

    array: FloatArray
    names: tuple[str, ...] = ()
    mode: str = "mean"

    def __post_init__(self) -> None:
        rows: AnyArray = np.asarray(self.array)
        rows = rows[None] if rows.ndim == 1 else rows
        if rows.ndim != 2 or rows.dtype.kind not in "iuf" or rows.size == 0 or not np.isfinite(rows).all():
            raise TargetError(
                "References are embeddings [R, D] of finite numbers, one row per image; these are "
                f"{rows.dtype} {list(rows.shape)}."
            )
        if len(rows) > MOST_REFERENCES:
            raise TargetError(f"There are {len(rows)} references, but the limit is {MOST_REFERENCES}. Give fewer.")
        rows = rows.astype(np.float32)
        if not rows.any(axis=1).all():
            raise TargetError("A reference is zero everywhere, so it has no direction. Leave it out.")
        object.__setattr__(self, "names", tuple(self.names))
        if len(self.names) not in (0, len(rows)):
            raise TargetError(f"There are {len(self.names)} names for {len(rows)} references. Give one for each.")
        if self.mode not in REFERENCE_MODES:
            raise TargetError(f"References are taken by {' or '.join(REFERENCE_MODES)}, not by {self.mode!r}.")
        self._keep(rows)

    @cached_property
    def _key(self) -> Hashable:
        return super()._key, self.names, self.mode

    def name(self, number: int) -> str:
        """What a reference is called."""
        return self.names[number] if self.names else "reference" if len(self.array) == 1 else f"reference {number + 1}"

    @property
    def name_of_all(self) -> str:
        """What they are called together."""
        return self.name(0) if len(self.array) == 1 else f"{len(self.array)} references"


@dataclass(frozen=True)
class Box:
    """Detection: a candidate box, before non-maximum suppression, by its index or by its rank.

    Attributes:
        index: Index of the box, from 0.
        rank: Rank of the box by its score for the class: 1 is the best.

    Raises:
        TargetError: The box is named twice or not at all, or a number is out of range.

    """

    index: int | None = None
    rank: int | None = None

    def __post_init__(self) -> None:
        if (self.index is None) == (self.rank is None):
            raise TargetError("A box is named by its index or by its rank: give one of them.")
        for name in ("index", "rank"):
            object.__setattr__(self, name, whole(getattr(self, name), f"The {name} of a box"))
        if self.index is not None and self.index < 0:
            raise TargetError(f"The index of a box is not negative, but the target says {self.index}.")
        if self.rank is not None and self.rank < 1:
            raise TargetError(f"Ranks of boxes start at 1, but the target says {self.rank}.")

    @classmethod
    def parse(cls, text: str) -> Self:
        """The box as written on a command line: ``17`` is an index, ``-2`` the rank 2.

        Raises:
            TargetError: The text is neither.

        """
        text = text.strip()
        if re.fullmatch(r"\d+", text):
            return cls(int(text))
        if re.fullmatch(r"-\d+", text):
            return cls(rank=-int(text))
        raise TargetError(f"The anchor {text!r} is not a box; give its index, or -R for the box of rank R.")


@dataclass(frozen=True)
class DetectedObject:
    """Detection: an object by its rank among those that are listed, after non-maximum suppression.

    Attributes:
        rank: 1 is the best; with a class among the objects of that class, else among all.

    Raises:
        TargetError: The rank is not a whole number from 1 on.

    """

    rank: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "rank", _rank(self.rank, "object"))


@dataclass(frozen=True)
class Point:
    """What lies under a point.

    Detection: the object whose box holds it; of several the one with the smallest box. Segmentation: the connected
    region of the prediction that holds it; with a class, that of the class.

    Attributes:
        x: Position across, in pixels of the photo (of the input where a tensor is given); pixel i covers [i, i + 1).
        y: Position down.

    Raises:
        TargetError: A number is not finite.

    """

    x: float
    y: float

    def __post_init__(self) -> None:
        for name in ("x", "y"):
            object.__setattr__(self, name, float(getattr(self, name)))
        if not (math.isfinite(self.x) and math.isfinite(self.y)):
            raise TargetError(f"A point is two finite numbers, but the target says {self.x}, {self.y}.")

    @classmethod
    def parse(cls, text: str) -> Self:
        """The point as written on a command line, ``120,80``.

        Raises:
            TargetError: The text is not one.

        """
        try:
            x, y = (float(part) for part in text.split(","))
        except ValueError as error:
            raise TargetError(f"The point {text!r} is not two numbers X,Y, such as 120,80.") from error
        return cls(x, y)


def _rank(number: Any, what: str) -> int:
    rank = whole(number, f"The rank of {'an' if what == 'object' else 'a'} {what}")
    if rank is None or rank < 1:
        raise TargetError(f"Ranks of {what}s start at 1, but the target says {rank}.")
    return rank


def whole(number: Any, what: str) -> int | None:
    """A number as Python's own integer, whichever integer it is given as; None stays.

    Raises:
        TargetError: It is not a whole number.

    """
    try:
        return None if number is None else operator.index(number)
    except TypeError as error:
        raise TargetError(f"{what} is a whole number, not {number!r}.") from error


Place: TypeAlias = Mask | Polygon | Region | Box | DetectedObject | Point | Direction | References
