"""From the name of a class to the graph's value for it."""

from __future__ import annotations

from collections.abc import Sequence

from camgraph.v1.manifest_pb2 import Manifest
from camgraph_core.errors import TargetError
from camgraph_core.names import closest_names
from camgraph_core.target import Rank, Target


def target_code(target: Target, manifest: Manifest) -> int:
    """The graph's int64 value for a target's class: ``c >= 0`` is a class, ``-r`` a rank.

    Raises:
        TargetError: The index or rank is out of range, or the label is unknown or ambiguous.

    """
    num_classes = manifest.head.num_classes
    match target.selector:
        case int(index):
            if index >= num_classes:
                raise TargetError(
                    f"There is no class {index}: the model has {num_classes} classes, "
                    f"with the indices 0 to {num_classes - 1}."
                )
            return index
        case str(label):
            return find_label(label, manifest.class_labels)
    rank = target.selector.number if isinstance(target.selector, Rank) else 1
    if rank > num_classes:
        raise TargetError(f"There is no class of rank {rank}: the model has {num_classes} classes.")
    return -rank


def number_code(target: Target, manifest: Manifest) -> int:
    """The graph's value for one of several numbers, or for which way of a single one; they are named as classes are.

    Raises:
        TargetError: As `target_code`.

    """
    head, index = manifest.head, target.selector
    if isinstance(index, int) and index >= head.num_classes:
        wanted = (
            "1 for more of it, or 0 for less" if head.single_logit else f"an index from 0 to {head.num_classes - 1}"
        )
        count = "one number" if head.single_logit else f"{head.num_classes} numbers"
        raise TargetError(f"There is no target {index}: the model gives {count}; give {wanted}.")
    return target_code(target, manifest)


def find_label(label: str, labels: Sequence[str]) -> int:
    """Index of the class with a label.

    Case does not matter; one of several names ("tabby, tabby cat") is enough.

    Raises:
        TargetError: No class has the label (the closest ones are offered), several have it (their indices are
            listed), or the model has no labels.

    """
    if not labels:
        raise TargetError(f"The model has no class labels, so {label!r} cannot be found; name the class by its index.")
    wanted = label.strip().casefold()
    folded = [known.strip().casefold() for known in labels]
    matches = [i for i, known in enumerate(folded) if known == wanted]
    if not matches:
        matches = [i for i, known in enumerate(folded) if wanted in (name.strip() for name in known.split(","))]
    if len(matches) == 1:
        return matches[0]
    if matches:
        indices = ", ".join(map(str, matches))
        raise TargetError(f"The label {label!r} belongs to several classes ({indices}); name one by its index.")
    raise TargetError(f"No class has the label {label!r}.{_suggestion(wanted, folded, labels)}")


def _suggestion(wanted: str, folded: Sequence[str], labels: Sequence[str]) -> str:
    containing = [i for i, known in enumerate(folded) if wanted and wanted in known]
    similar = [folded.index(known) for known in closest_names(wanted, folded)]
    closest = list(dict.fromkeys([*similar, *containing]))[:3]
    if not closest:
        return " Labels are compared without regard to case; the class index works too."
    return f" Did you mean {' or '.join(f'{labels[i]!r} ({i})' for i in closest)}?"
