"""What to explain, as a user says it: a class, and with it pixels or a box; or a direction, or other images."""

from __future__ import annotations

import operator
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self, TypeAlias, TypedDict, Unpack

from camgraph_core.errors import TargetError
from camgraph_core.place import Direction, Place, References, whole
from camgraph_core.types import AnyArray


@dataclass(frozen=True)
class Rank:
    """A class by its rank: 1 is the predicted class, 2 the runner-up.

    Ranks go by score; in a segmentation by area, in a detection by the class's best box.

    Raises:
        TargetError: The number is smaller than 1.

    """

    number: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "number", whole(self.number, "A rank"))
        if self.number < 1:
            raise TargetError(f"Ranks start at 1 (the predicted class), but the target says {self.number}.")


Selector: TypeAlias = int | str | Rank


class TargetOptions(TypedDict, total=False):
    """What a target may say beside its class; the fields of `Target`."""

    place: Place | None
    contrast: Target | None
    negative: bool


@dataclass(frozen=True)
class Target:
    """One thing to explain; by default the predicted class.

    Attributes:
        selector: The class: its index, from 0; its label, in which case does not matter; or its `Rank`. None: the
            predicted class.
        place: What the class is explained for: pixels (`Mask`, `Polygon`), a region of the prediction (`Region`,
            `Point`), a candidate box (`Box`) or an object (`DetectedObject`, `Point`); or a `Direction` or
            `References`, which take the place of a class. None: where the class wins, or its best box.
        contrast: Explains the score of this target minus the score of that one, which takes over mask and box
            unless it has its own place.
        negative: Explains what speaks against the target: the negated score.

    Raises:
        TargetError: The selector or the place is none of these, an index is negative, a direction or reference has
            a class, or a contrast has a contrast or a sign.

    """

    selector: Selector | None = None
    place: Place | None = None
    contrast: Target | None = None
    negative: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "selector", _plain(self.selector))
        if not isinstance(self.place, Place | None):
            names = "Mask, Polygon, Region, Box, DetectedObject, Point, Direction or References"
            raise TargetError(f"A place is one of {names}, not of the type {type(self.place).__name__}.")
        if isinstance(self.selector, int) and self.selector < 0:
            raise TargetError(f"A class index is not negative, but the target says {self.selector}.")
        if isinstance(self.place, Direction | References) and self.selector is not None:
            what = "A direction takes" if isinstance(self.place, Direction) else "References take"
            raise TargetError(f"{what} the place of a class: give one of them.")
        if self.contrast is not None and (self.contrast.contrast is not None or self.contrast.negative):
            raise TargetError("The class of a contrast is a plain class: it has no contrast or sign of its own.")

    @classmethod
    def index(cls, class_index: int, **options: Unpack[TargetOptions]) -> Self:
        """The class with this index."""
        return cls(whole(class_index, "A class index"), **options)

    @classmethod
    def of_label(cls, label: str, **options: Unpack[TargetOptions]) -> Self:
        """The class with this label."""
        return cls(label, **options)

    @classmethod
    def of_rank(cls, rank: int, **options: Unpack[TargetOptions]) -> Self:
        """The class of this rank: 1 is the predicted class."""
        return cls(Rank(rank), **options)

    @classmethod
    def direction(cls, array: AnyArray, *, contrast: Target | None = None, negative: bool = False) -> Self:
        """A direction [D] in the space of an embedding model, such as the embedding of another image."""
        return cls(None, Direction(array), contrast, negative)

    @classmethod
    def similar_to(
        cls,
        embeddings: AnyArray,
        *,
        names: Sequence[str] = (),
        mode: str = "mean",
        contrast: Target | None = None,
        negative: bool = False,
    ) -> Self:
        """Likeness to other images, by the cosine similarity of their embeddings; with ``negative`` the difference.

        Args:
            embeddings: Those of the other images, [R, D] or [D], as `Result.embedding` gives them.
            names: What each is called in the result.
            mode: How several are taken together, see `References`.
            contrast: Likeness to these images, and not to those: another target of this kind.
            negative: Explains what makes the image different.

        Raises:
            TargetError: The embeddings cannot be used.

        """
        return cls(None, References(embeddings, tuple(names), mode), contrast, negative)

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
    def said(self) -> str:
        """How it was said, for messages: "class 281", "'tabby'", "rank 2", "the predicted class"."""
        if isinstance(self.place, Direction):
            return "direction"
        if isinstance(self.place, References):
            return f"likeness to {self.place.name_of_all}"
        if isinstance(self.selector, Rank):
            return f"rank {self.selector.number}"
        if self.selector is None:
            return "the predicted class"
        return f"class {self.selector}" if isinstance(self.selector, int) else repr(self.selector)

    @property
    def resolved_contrast(self) -> Target | None:
        """The contrast, with the mask or box of this target unless it has a place of its own."""
        inherits = self.place is not None and not isinstance(self.place, Direction | References)
        if self.contrast is None or self.contrast.place is not None or not inherits:
            return self.contrast
        return replace(self.contrast, place=self.place)


def _plain(selector: Any) -> Selector | None:
    """The selector as one of Python's own types, whichever integer or text it is given as."""
    if selector is None or isinstance(selector, Rank):
        return selector
    if isinstance(selector, str):
        return str(selector)
    try:
        return operator.index(selector)
    except TypeError as error:
        raise TargetError(f"A class is named by its index, its label or its rank, not by {selector!r}.") from error
