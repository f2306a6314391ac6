"""The true numbers of images, and what a regression's error is explained by."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from camgraph.v1.manifest_pb2 import Manifest
from camgraph_client.cli.report.truth_file import Cells
from camgraph_core.errors import InvalidInputError, TargetError
from camgraph_core.result import ClassScore, Result
from camgraph_core.target import Target
from camgraph_runtime.tasks.labels import number_code

Numbers = tuple[float, ...]


def count_of(manifest: Manifest) -> int:
    """How many numbers a model gives."""
    return 1 if manifest.head.single_logit else manifest.head.num_classes


def numbers_of(heading: Cells | None, lines: Sequence[Cells | None], said: str, manifest: Manifest) -> list[Numbers]:
    """The true numbers of each image, in the model's order; empty where it has no line.

    Args:
        heading: Of several numbers which one each column has, by label or index; without one they are in the model's
            order.
        lines: The cells of each image.
        said: Where they come from.
        manifest: That of the model.

    Raises:
        InvalidInputError: There are not as many columns as numbers, or a cell is not a number.
        TargetError: A column is not one of the model's numbers.

    """
    count = count_of(manifest)
    columns = next((len(line) for line in lines if line is not None), count)
    if columns != count:
        raise InvalidInputError(
            f"{said} has {columns} columns after the name, but the model gives {count} numbers. Give a column for each."
        )
    order = list(range(count)) if count == 1 or heading is None else [_index(text, said, manifest) for text in heading]
    if sorted(order) != list(range(count)):
        raise InvalidInputError(f"{said} has two columns for one of the model's numbers. Give a column for each.")
    return [() if line is None else _in_order(line, order, said) for line in lines]


def _in_order(line: Cells, order: Sequence[int], said: str) -> Numbers:
    of_index = dict(zip(order, line, strict=True))
    return tuple(_number(of_index[index], said) for index in sorted(order))


def _number(text: str, said: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InvalidInputError(f"{said} has {text[:60]!r} where the model gives a number. Give a finite number.")
    return value


def _index(text: str, said: str, manifest: Manifest) -> int:
    try:
        return number_code(Target.parse(text), manifest)
    except TargetError as error:
        raise TargetError(f"--truth ({said}): {error}") from error


def deviations(numbers: Numbers, predictions: Sequence[ClassScore]) -> list[float] | None:
    """What is predicted less what is true, for each number; None where one of them is not known."""
    found = [score.value for score in predictions]
    if not numbers or len(found) < len(numbers):
        return None
    return [math.nan if value is None else value - true for value, true in zip(found, numbers, strict=False)]


def first_targets(manifest: Manifest) -> tuple[Target, ...]:
    """What is explained at first: what makes a single number larger, and what smaller; the first one of several."""
    return (Target.index(1), Target.index(0)) if manifest.head.single_logit else (Target.index(0),)


def with_error_explained(result: Result, numbers: Numbers, manifest: Manifest, again: Callable[..., Result]) -> Result:
    """The result of `first_targets` with what explains the error alone.

    It is the number with the largest error: what makes it larger where it is too large, else what makes it smaller.

    Args:
        result: What came for the targets.
        numbers: The true numbers.
        manifest: That of the model.
        again: Explains the image for other targets.

    """
    found = deviations(numbers, result.predictions)
    if found is None:
        return result
    worst = max(range(len(found)), key=lambda index: abs(found[index]))
    is_small = found[worst] < 0
    if manifest.head.single_logit:
        more, less = result.explanations
        kept, dropped = (less, more) if is_small else (more, less)
        warnings = [text for text in result.warnings if not text.startswith(f"{dropped.title}: ")]
        return replace(result, explanations=[kept], warnings=warnings)
    if worst == 0 and not is_small:
        return result
    other = again(targets=(Target.index(worst, negative=is_small),))
    return replace(result, explanations=other.explanations, warnings=other.warnings)
