"""What to explain, as a user says it: a class, and with it a region, a box or a direction."""

from __future__ import annotations

import re
from collections.abc import Hashable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self, TypedDict, Unpack

import numpy as np

from camgraph_core.errors import TargetError
from camgraph_core.types import AnyArray, ByteArray, FloatArray


class TargetOptions(TypedDict, total=False):
    """What a target may say beside its class; the fields of `Target`."""

    contrast: Target | None
    negative: bool
    mask: AnyArray | None
    anchor: int | None
    anchor_rank: int | None


@dataclass(frozen=True, eq=False)
class Target:
    """One class to explain, named by its index, its label or its rank; by nothing: the predicted class.

    Attributes:
        class_index: Index of the class, from 0.
        label: Label of the class; case does not matter.
        rank: Rank by score: 1 is the predicted class, 2 the runner-up. In a segmentation it is the rank by
            area, in a detection that of the class's best box.
        contrast: Explains the score of this class minus the score of that one, which takes over mask and
            anchor unless it has its own.
        negative: Explains what speaks against the class: the negated score.
        mask: Segmentation: the pixels whose scores are summed, [H, W], non-zero is inside; in the photo's
            frame (the input's where a tensor is given) or of the score map's own size. None or all zero:
            where the class wins.
        anchor: Detection: index of the candidate box, from 0; without it and a rank the class's best box.
        anchor_rank: Detection: rank of the box by its score for the class: 1 is the best.
        cotangent: Embedding: the direction [D] that the embedding is projected on, float32.

    Raises:
        TargetError: The class or box is named twice, a number is out of range, a contrast nested, or an array
            of the wrong shape.

    """

    class_index: int | None = None
    label: str | None = None
    rank: int | None = None
    contrast: Target | None = None
    negative: bool = False
    mask: ByteArray | None = None
    anchor: int | None = None
    anchor_rank: int | None = None
    cotangent: FloatArray | None = None

    def __post_init__(self) -> None:
        self._check_class()
        self._check_anchor()
        if self.contrast is not None and (self.contrast.contrast is not None or self.contrast.negative):
            raise TargetError("The class of a contrast is a plain class: it has no contrast or sign of its own.")
        if self.mask is not None:
            object.__setattr__(self, "mask", _as_mask(self.mask))
        if self.cotangent is not None:
            object.__setattr__(self, "cotangent", _as_direction(self.cotangent))

    @classmethod
    def index(cls, class_index: int, **options: Unpack[TargetOptions]) -> Self:
        """The class with this index."""
        return cls(class_index=class_index, **options)

    @classmethod
    def of_label(cls, label: str, **options: Unpack[TargetOptions]) -> Self:
        """The class with this label."""
        return cls(label=label, **options)

    @classmethod
    def of_rank(cls, rank: int, **options: Unpack[TargetOptions]) -> Self:
        """The class of this rank: 1 is the predicted class."""
        return cls(rank=rank, **options)

    @classmethod
    def direction(cls, cotangent: AnyArray, *, contrast: Target | None = None, negative: bool = False) -> Self:
        """A direction [D] in the space of an embedding model, such as the embedding of another image."""
        return cls(cotangent=cotangent, contrast=contrast, negative=negative)

    @classmethod
    def parse(cls, text: str, **options: Unpack[TargetOptions]) -> Self:
        """Target as written on a command line: ``281`` is an index, ``-2`` the rank 2, anything else a label.

        Raises:
            TargetError: The text is empty, or ``-0``.

        """
        text = text.strip()
        if re.fullmatch(r"\d+", text):
            return cls.index(int(text), **options)
        if re.fullmatch(r"-\d+", text):
            return cls.of_rank(-int(text), **options)
        if not text:
            raise TargetError("The target is empty; give a class index, a label, or -R for the class of rank R.")
        return cls.of_label(text, **options)

    @property
    def names_class(self) -> bool:
        """Whether the class is named by index, label or rank."""
        return any(name is not None for name in (self.class_index, self.label, self.rank))

    def __eq__(self, other: object) -> bool:
        return self._key == other._key if isinstance(other, Target) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._key)

    @cached_property
    def _key(self) -> Hashable:
        return (
            *(self.class_index, self.label, self.rank, self.contrast, self.negative),
            *(array_key(self.mask), self.anchor, self.anchor_rank, array_key(self.cotangent)),
        )

    def _check_class(self) -> None:
        if sum(name is not None for name in (self.class_index, self.label, self.rank)) > 1:
            raise TargetError("A target is named by a class index, a label or a rank: give one of them.")
        if self.class_index is not None and self.class_index < 0:
            raise TargetError(f"A class index is not negative, but the target says {self.class_index}.")
        if self.rank is not None and self.rank < 1:
            raise TargetError(f"Ranks start at 1 (the predicted class), but the target says {self.rank}.")

    def _check_anchor(self) -> None:
        if self.anchor is not None and self.anchor_rank is not None:
            raise TargetError("A box is named by its index or by its rank: give one of them.")
        if self.anchor is not None and self.anchor < 0:
            raise TargetError(f"The index of a box is not negative, but the target says {self.anchor}.")
        if self.anchor_rank is not None and self.anchor_rank < 1:
            raise TargetError(f"Ranks of boxes start at 1, but the target says {self.anchor_rank}.")


def parse_anchor(text: str) -> tuple[int | None, int | None]:
    """Index and rank of a box as written on a command line: ``17`` is an index, ``-2`` the rank 2; one is None.

    Raises:
        TargetError: The text is neither.

    """
    text = text.strip()
    if re.fullmatch(r"\d+", text):
        return int(text), None
    if re.fullmatch(r"-\d+", text):
        return None, -int(text)
    raise TargetError(f"The anchor {text!r} is no box; give its index, or -R for the box of rank R.")


def array_key(array: AnyArray | None) -> Hashable:
    """Something to compare and hash an array by: equal for arrays of equal type, shape and elements."""
    return None if array is None else (array.dtype.str, array.shape, array.tobytes())


def _as_mask(values: Any) -> ByteArray:
    mask = np.asarray(values)
    if mask.ndim != 2 or mask.dtype.kind not in "buif" or mask.size == 0:
        raise TargetError(
            f"A mask is an array [H, W] of numbers, non-zero inside; this one is {mask.dtype} {list(mask.shape)}."
        )
    return _frozen((mask != 0).astype(np.uint8))


def _as_direction(values: Any) -> FloatArray:
    direction = np.asarray(values)
    if direction.ndim != 1 or direction.dtype.kind not in "iuf" or not np.isfinite(direction).all():
        raise TargetError(
            f"A cotangent is an array [D] of finite numbers; this one is {direction.dtype} {list(direction.shape)}."
        )
    return _frozen(direction.astype(np.float32))


def _frozen(array: AnyArray) -> AnyArray:
    """The array, which no one may change any more: a target is hashed by it."""
    array.setflags(write=False)
    return array
