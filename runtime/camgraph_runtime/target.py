"""Which class to explain: as a user says it, and as the graph's ``target`` input wants it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from camgraph_runtime.errors import TargetError


@dataclass(frozen=True)
class Target:
    """One class to explain, named by its index, its label or its rank; by nothing: the predicted class.

    Attributes:
        class_index: Index of the class, from 0.
        label: Label of the class; case does not matter.
        rank: Rank by score: 1 is the predicted class, 2 the runner-up.
        contrast: Explains the score of this class minus the score of that one.
        negative: Explains what speaks against the class: the negated score.

    Raises:
        TargetError: The class is named twice, the index is negative, the rank below 1, or a contrast nested.

    """

    class_index: int | None = None
    label: str | None = None
    rank: int | None = None
    contrast: Target | None = None
    negative: bool = False

    def __post_init__(self) -> None:
        if sum(name is not None for name in (self.class_index, self.label, self.rank)) > 1:
            raise TargetError("A target is named by a class index, a label or a rank: give one of them.")
        if self.class_index is not None and self.class_index < 0:
            raise TargetError(f"A class index is not negative, but the target says {self.class_index}.")
        if self.rank is not None and self.rank < 1:
            raise TargetError(f"Ranks start at 1 (the predicted class), but the target says {self.rank}.")
        if self.contrast is not None and (self.contrast.contrast is not None or self.contrast.negative):
            raise TargetError(
                "The class of a contrast is a plain class: it has no contrast or sign of its own."
            )

    @classmethod
    def index(cls, class_index: int, *, contrast: Target | None = None, negative: bool = False) -> Self:
        """The class with this index."""
        return cls(class_index=class_index, contrast=contrast, negative=negative)

    @classmethod
    def of_label(cls, label: str, *, contrast: Target | None = None, negative: bool = False) -> Self:
        """The class with this label."""
        return cls(label=label, contrast=contrast, negative=negative)

    @classmethod
    def of_rank(cls, rank: int, *, contrast: Target | None = None, negative: bool = False) -> Self:
        """The class of this rank: 1 is the predicted class."""
        return cls(rank=rank, contrast=contrast, negative=negative)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Target as written on a command line: ``281`` is an index, ``-2`` the rank 2, anything else a label.

        Raises:
            TargetError: The text is empty, or ``-0``.

        """
        text = text.strip()
        if re.fullmatch(r"\d+", text):
            return cls.index(int(text))
        if re.fullmatch(r"-\d+", text):
            return cls.of_rank(-int(text))
        if not text:
            raise TargetError(
                "The target is empty; give a class index, a label, or -R for the class of rank R."
            )
        return cls.of_label(text)


def target_code(target: Target, num_classes: int, labels: Sequence[str]) -> int:
    """The graph's int64 value for a target, contrast and sign aside: ``c >= 0`` is a class, ``-r`` a rank.

    Args:
        target: The target.
        num_classes: Number of classes of the model.
        labels: Label of each class; may be empty.

    Raises:
        TargetError: The index or rank is out of range, or the label is unknown or ambiguous.

    """
    if target.class_index is not None:
        if target.class_index >= num_classes:
            raise TargetError(
                f"There is no class {target.class_index}: the model has {num_classes} classes, "
                f"with the indices 0 to {num_classes - 1}."
            )
        return target.class_index
    if target.label is not None:
        return find_label(target.label, labels)
    rank = target.rank or 1
    if rank > num_classes:
        raise TargetError(f"There is no class of rank {rank}: the model has {num_classes} classes.")
    return -rank


def find_label(label: str, labels: Sequence[str]) -> int:
    """Index of the class with a label. Case does not matter; one of several names ("tabby, tabby cat") is
    enough.

    Raises:
        TargetError: No class has the label (the closest ones are offered), several have it (their indices are
            listed), or the model has no labels.

    """
    if not labels:
        raise TargetError(
            f"The model has no class labels, so {label!r} cannot be found; name the class by its index."
        )
    wanted = label.strip().casefold()
    folded = [known.strip().casefold() for known in labels]
    matches = [i for i, known in enumerate(folded) if known == wanted]
    if not matches:
        matches = [
            i for i, known in enumerate(folded) if wanted in (name.strip() for name in known.split(","))
        ]
    if len(matches) == 1:
        return matches[0]
    if matches:
        indices = ", ".join(map(str, matches))
        raise TargetError(
            f"The label {label!r} belongs to several classes ({indices}); name one by its index."
        )
    raise TargetError(f"No class has the label {label!r}.{_suggestion(wanted, folded, labels)}")


def _suggestion(wanted: str, folded: Sequence[str], labels: Sequence[str]) -> str:
    containing = [i for i, known in enumerate(folded) if wanted and wanted in known]
    similar = [folded.index(known) for known in difflib.get_close_matches(wanted, folded, n=3, cutoff=0.6)]
    closest = list(dict.fromkeys([*similar, *containing]))[:3]
    if not closest:
        return " Labels are compared without regard to case; the class index works too."
    return f" Did you mean {' or '.join(f'{labels[i]!r} ({i})' for i in closest)}?"
