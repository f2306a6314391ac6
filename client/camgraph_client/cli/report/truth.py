"""The true classes of a run's images, from a file or from the names of their folders."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from camgraph.v1.manifest_pb2 import TASK_CLASSIFICATION, Manifest
from camgraph_client.cli.photos import Photo
from camgraph_core.errors import InvalidInputError, TargetError, UsageError
from camgraph_core.result import Result
from camgraph_core.target import Rank, Target
from camgraph_runtime.tasks.labels import target_code

FOLDER = "folder"
"""Said in place of a file: the true class of an image is the name of its folder."""


def with_truths(photos: Sequence[Photo], said: str, manifest: Manifest) -> list[Photo]:
    """The images with their true classes; None where the file does not name the image.

    Args:
        photos: The images.
        said: `FOLDER`, or the path of a CSV file with the columns name and label. A name is the path of an image, as
            the command line or the file's own folder leads to it, or its file name alone.
        manifest: That of the model.

    Raises:
        UsageError: The model is not a classifier, a name is that of several images, or the file names no image.
        InvalidInputError: The file cannot be read.
        TargetError: A label is not one of the model's.

    """
    if manifest.task != TASK_CLASSIFICATION:
        raise UsageError("--truth is for classifiers: only there one class is right.")
    named = [photo.path.absolute().parent.name for photo in photos] if said == FOLDER else _listed(photos, Path(said))
    known = {name: _index(name, said, manifest) for name in sorted({name for name in named if name is not None})}
    return [
        photo if name is None else replace(photo, truth=known[name]) for photo, name in zip(photos, named, strict=True)
    ]


def targets_for(truth: int, num_classes: int) -> tuple[Target, ...]:
    """What is explained at first of an image whose true class is known; see `judged`.

    It is the predicted class, the true one, and the difference between the predicted class and the runner-up.
    """
    best = Target.of_rank(1)
    against = (replace(best, contrast=Target.of_rank(2)),) if num_classes > 1 else ()
    return best, Target.index(truth), *against


def judged(result: Result, again: Callable[..., Result]) -> Result:
    """The result of `targets_for` with the explanations that tell most.

    Where the prediction is right: the predicted class, and why not the runner-up. Where it is wrong: the predicted
    class, the true one, and why the one and not the other, for which the image may be explained once more.

    Args:
        result: What came for the targets.
        again: Explains the image for other targets.

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
    where = "the name of a folder" if said == FOLDER else said
    try:
        target = Target.parse(label)
        if isinstance(target.selector, Rank):
            raise TargetError(f"{label!r} is not a label or an index.")
        return target_code(target, manifest)
    except TargetError as error:
        raise TargetError(f"--truth ({where}): {error}") from error


def _listed(photos: Sequence[Photo], file: Path) -> list[str | None]:
    labels = _read(file)
    by_name = Counter(photo.path.name for photo in photos)
    beside = {(file.parent / name).absolute(): label for name, label in labels.items()}
    found = []
    for photo in photos:
        name = photo.path.name
        label = labels.get(str(photo.path), beside.get(photo.path.absolute()))
        if label is None and name in labels:
            if by_name[name] > 1:
                raise UsageError(f"{file} names {name}, which is the file name of {by_name[name]} images; give paths.")
            label = labels[name]
        found.append(label)
    if not any(found):
        raise UsageError(f"{file} names none of the images; its first column has their paths or file names.")
    return found


def _read(file: Path) -> Mapping[str, str]:
    try:
        with file.open(encoding="utf-8-sig", newline="") as opened:
            lines = [line for line in csv.reader(opened, strict=True) if line]
    except OSError as error:
        raise InvalidInputError(f"{file} cannot be read: {error.strerror}.") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise InvalidInputError(f"{file} is not a CSV file: {error}.") from error
    labels: dict[str, str] = {}
    for number, line in enumerate(lines):
        cells = [cell.strip() for cell in line]
        if len(cells) != 2 or not all(cells):
            raise InvalidInputError(f"{file} has a line that is not name,label: {','.join(line)[:80]!r}.")
        if number == 0 and cells == ["name", "label"]:
            continue
        if labels.setdefault(cells[0], cells[1]) != cells[1]:
            raise InvalidInputError(f"{file} has two labels for {cells[0]}.")
    return labels
