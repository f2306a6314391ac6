"""Targets: how users name classes, and what the graph gets."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from camgraph.v1.manifest_pb2 import Head, Manifest
from camgraph_core.errors import InvalidInputError, TargetError
from camgraph_core.place import Box, Direction, Mask, Place
from camgraph_core.target import Rank, Target
from camgraph_runtime.tasks.labels import target_code

LABELS = ["tench", "tabby, tabby cat", "tiger cat", "Egyptian cat", "crane", "crane"]


def code(target: Target, labels: list[str] = LABELS) -> int:
    return target_code(target, Manifest(head=Head(num_classes=len(LABELS)), class_labels=labels))


@pytest.mark.parametrize(
    ("text", "target", "value"),
    [
        ("3", Target.index(3), 3),
        ("0", Target.index(0), 0),
        ("-2", Target.of_rank(2), -2),
        ("tiger cat", Target.of_label("tiger cat"), 2),
        (" Tench ", Target.of_label("Tench"), 0),
        ("TABBY", Target.of_label("TABBY"), 1),
    ],
)
def test_parse_and_code(text: str, target: Target, value: int) -> None:
    assert Target.parse(text) == target
    assert code(target) == value


def test_nothing_named_is_the_predicted_class() -> None:
    assert code(Target()) == -1


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (Target.index(6), "There is no class 6: the model has 6 classes, with the indices 0 to 5"),
        (Target.of_rank(7), "no class of rank 7: the model has 6 classes"),
        (Target.of_label("tiger"), r"No class has the label 'tiger'. Did you mean .*'tiger cat' \(2\)"),
        (Target.of_label("egyptain cat"), r"'Egyptian cat' \(3\)"),
        (Target.of_label("submarine"), "No class has the label 'submarine'. Labels are compared"),
        (Target.of_label("crane"), r"several classes \(4, 5\)"),
    ],
)
def test_errors_say_what_to_do(target: Target, message: str) -> None:
    with pytest.raises(TargetError, match=message):
        code(target)


def test_a_label_needs_labels() -> None:
    with pytest.raises(TargetError, match="no class labels"):
        code(Target.of_label("tench"), [])


@pytest.mark.parametrize("text", ["", "  ", "-0"])
def test_texts_that_name_nothing(text: str) -> None:
    with pytest.raises(TargetError):
        Target.parse(text)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Target.index(-1), "not negative"),
        (lambda: Target.of_rank(0), "Ranks start at 1"),
        (lambda: Target(1.5), "not by 1.5"),
        (lambda: Target(1, np.ones((2, 2))), "Direction or References, not of the type ndarray"),
        (lambda: Target(1, Direction(np.ones(3))), "A direction takes the place of a class"),
        (lambda: Target(contrast=Target(contrast=Target())), "no contrast"),
        (lambda: Target(contrast=Target(negative=True)), "no contrast or sign"),
        (lambda: Box(1.5), "The index of a box is a whole number, not 1.5"),
        (lambda: Target.of_rank(1.5), "A rank is a whole number"),
        (lambda: Target.index("3"), "A class index is a whole number, not '3'"),
        (lambda: Box(1, rank=1), "by its index or by its rank"),
        (Box, "by its index or by its rank"),
        (lambda: Box(-1), "is not negative"),
        (lambda: Box(rank=0), "start at 1"),
        (lambda: Mask(np.zeros((2, 2, 3))), r"A mask is an array \[H, W\]"),
        (lambda: Direction(np.array([1, np.nan])), "finite numbers"),
    ],
)
def test_contradictions_are_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(TargetError, match=message):
        make()


def test_targets_are_compared_by_their_arrays() -> None:
    mask = np.eye(3, dtype=np.uint8)
    assert Target(place=Mask(mask)) == Target(place=Mask(mask.astype(bool)))
    assert hash(Target(place=Mask(mask))) == hash(Target(place=Mask(255 * mask)))
    assert Target(place=Mask(mask)) != Target(place=Mask(1 - mask))
    assert Target.direction(mask[0]) == Target.direction(mask[0].astype(np.float64))
    assert Target.direction(mask[0]) != Target.direction(mask[1])
    assert Target(place=Mask(mask)) != "a mask"
    with pytest.raises(ValueError, match="read-only"):
        Mask(mask).array[0, 0] = 1


@pytest.mark.parametrize("place", [Mask(np.eye(3)), Box(7)])
def test_a_contrast_takes_over_mask_and_box(place: Place) -> None:
    assert Target.index(1, place=place, contrast=Target.index(2)).resolved_contrast == Target.index(2, place=place)
    own = Target.index(2, place=Box(rank=3))
    assert Target.index(1, place=place, contrast=own).resolved_contrast == own
    assert Target.index(1, place=place).resolved_contrast is None


def test_a_contrast_does_not_take_over_a_direction() -> None:
    assert Target.direction(np.ones(3), contrast=Target()).resolved_contrast == Target()


def test_any_integer_is_an_index_and_any_text_a_label() -> None:
    assert Target.index(np.int64(3)) == Target(np.int64(3)) == Target(3)
    assert type(Target(np.int64(3)).selector) is int
    assert type(Box(np.int64(3)).index) is type(Box(rank=np.int64(3)).rank) is int
    assert type(Target(np.str_("tabby")).selector) is str
    assert Target.of_rank(np.int64(3)) == Target(Rank(3))


def test_target_errors_are_bad_input_and_wrong_usage() -> None:
    assert issubclass(TargetError, InvalidInputError)
    assert TargetError.exit_code == 2
