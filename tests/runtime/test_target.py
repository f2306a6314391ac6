"""Targets: how users name classes, and what the graph gets."""

from __future__ import annotations

import pytest

from camgraph_core.errors import InvalidInputError, TargetError
from camgraph_core.target import Target
from camgraph_runtime.tasks.labels import target_code

LABELS = ["tench", "tabby, tabby cat", "tiger cat", "Egyptian cat", "crane", "crane"]


def code(target: Target, labels: list[str] = LABELS) -> int:
    return target_code(target, len(LABELS), labels)


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
    "fields",
    [
        {"class_index": 1, "rank": 1},
        {"class_index": -1},
        {"rank": 0},
        {"contrast": Target(contrast=Target())},
        {"contrast": Target(negative=True)},
    ],
)
def test_contradictions_are_refused(fields: dict[str, object]) -> None:
    with pytest.raises(TargetError):
        Target(**fields)


def test_target_errors_are_bad_input_and_wrong_usage() -> None:
    assert issubclass(TargetError, InvalidInputError)
    assert TargetError.exit_code == 2
