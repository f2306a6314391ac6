"""What is true of a run's images, from a file or from the names of their folders, and what is explained with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from camgraph.v1 import manifest_pb2 as pb
from camgraph.v1.manifest_pb2 import Manifest
from camgraph_client.cli.photos import Photo
from camgraph_client.cli.report.true_numbers import count_of, first_targets, numbers_of, with_error_explained
from camgraph_client.cli.report.truth_file import Cells, read_truths
from camgraph_core.errors import InvalidInputError, TargetError, UsageError
from camgraph_core.result import Result
from camgraph_core.target import Rank, Target
from camgraph_runtime.tasks.labels import target_code

FOLDER = "folder"
"""Said in place of a file: the true class or number of an image is the name of its folder."""


def with_truths(photos: Sequence[Photo], said: str, manifest: Manifest) -> list[Photo]:
    """The images with their true classes or numbers, as far as they are named.

    Args:
        photos: The images.
        said: `FOLDER`, or the path of a CSV file with a column for the name, see `read_truths`, and one for the label,
            or one for each number.
        manifest: That of the model.

    Raises:
        UsageError: The model gives neither classes nor numbers, a name is that of several images, or the file names no
            image.
        InvalidInputError: The file cannot be read, or has other columns.
        TargetError: A label is not one of the model's.

    """
    is_classifier = manifest.task == pb.TASK_CLASSIFICATION
    if not is_classifier and manifest.task not in (pb.TASK_REGRESSION, pb.TASK_DENSE_REGRESSION):
        raise UsageError("--truth is for classifiers and regressors: only there one class or number is right.")
    heading: Cells | None = None
    lines: list[Cells | None] = [(photo.path.absolute().parent.name,) for photo in photos]
    if said != FOLDER:
        heading, lines = read_truths(photos, Path(said), "label" if is_classifier else "number")
    where = "the name of a folder" if said == FOLDER else said
    if is_classifier:
        return _with_classes(photos, lines, where, manifest)
    numbers = numbers_of(heading, lines, where, manifest)
    return [replace(photo, numbers=own) for photo, own in zip(photos, numbers, strict=True)]


def asked_with_truth(photo: Photo, asked: dict[str, Any], manifest: Manifest) -> dict[str, Any]:
    """What is asked of an image at first, as keywords of `Explains.explain`; see `judged`."""
    if photo.truth is not None:
        return {**asked, "targets": _targets(photo.truth, manifest.head.num_classes)}
    if photo.numbers:
        most = max(asked["num_predictions"], count_of(manifest))
        return {**asked, "targets": first_targets(manifest), "num_predictions": most}
    return asked


def judged(photo: Photo, result: Result, manifest: Manifest, again: Callable[..., Result]) -> Result:
    """The result of `asked_with_truth` with the explanations that tell most.

    Args:
        photo: The image.
        result: What came of it.
        manifest: That of the model.
        again: Explains the image for other targets.

    """
    if photo.truth is not None:
        return _with_both_classes(result, again)
    return with_error_explained(result, photo.numbers, manifest, again) if photo.numbers else result


def _with_classes(photos: Sequence[Photo], lines: Sequence[Cells | None], said: str, manifest: Manifest) -> list[Photo]:
    if any(line is not None and len(line) != 1 for line in lines):
        raise InvalidInputError(f"{said} has more columns than name and label.")
    named = [None if line is None else line[0] for line in lines]
    known = {name: _index(name, said, manifest) for name in sorted({name for name in named if name is not None})}
    return [
        photo if name is None else replace(photo, truth=known[name]) for photo, name in zip(photos, named, strict=True)
    ]


def _targets(truth: int, num_classes: int) -> tuple[Target, ...]:
    """The predicted class, the true one, and the difference between the predicted class and the runner-up."""
    best = Target.of_rank(1)
    against = (replace(best, contrast=Target.of_rank(2)),) if num_classes > 1 else ()
    return best, Target.index(truth), *against


def _with_both_classes(result: Result, again: Callable[..., Result]) -> Result:
    """The result of `_targets` with the explanations that tell most.

    Where the prediction is right: the predicted class, and why not the runner-up. Where it is wrong: the predicted
    class, the true one, and why the one and not the other, for which the image may be explained once more.
    """
    predicted, true, *against = result.explanations
    if predicted.target.class_index == true.target.class_index:
        return replace(result, explanations=[predicted, *against], warnings=list(dict.fromkeys(result.warnings)))
    rival = against[0].contrast if against else None
    if rival is None or rival.class_index != true.target.class_index:
        truth = Target.index(true.target.class_index)
        second = again(targets=(Target.index(predicted.target.class_index, contrast=truth),))
        kept = [text for text in result.warnings if not any(text.startswith(f"{item.title}: ") for item in against)]
        result, against = replace(result, warnings=[*kept, *second.warnings]), second.explanations
    return replace(result, explanations=[predicted, true, *against], warnings=list(dict.fromkeys(result.warnings)))


def _index(label: str, said: str, manifest: Manifest) -> int:
    try:
        target = Target.parse(label)
        if isinstance(target.selector, Rank):
            raise TargetError(f"{label!r} is not a label or an index.")
        return target_code(target, manifest)
    except TargetError as error:
        raise TargetError(f"--truth ({said}): {error}") from error
