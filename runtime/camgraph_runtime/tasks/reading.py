"""What the readings of all tasks have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from camgraph.v1.manifest_pb2 import Manifest
from camgraph_core.result import ClassScore
from camgraph_core.types import AnyArray

Outputs = Mapping[str, AnyArray]


class Reading(Protocol):
    """Scores of one image."""

    @property
    def warnings(self) -> Sequence[str]:
        """What kept classes from being listed, one sentence each."""

    def best(self, count: int) -> list[ClassScore]:
        """The best classes, best first; what "best" means is the task's."""

    def target(self, column: int) -> ClassScore:
        """The class of a column, with the score that was differentiated."""


def label_of(manifest: Manifest, index: int) -> str:
    """Label of a class; empty if the manifest has none."""
    labels = manifest.class_labels
    return labels[index] if 0 <= index < len(labels) else ""


def unlisted(manifest: Manifest, output: AnyArray, wanted: str) -> str:
    """The warning that the source's output is of another shape than the predictions need."""
    if manifest.head.output_is_ranked:
        return (
            f"The model's output {manifest.head.output_name!r} holds only what the model itself selected, not "
            f"{wanted}: the best classes cannot be listed. Explanations do not need it."
        )
    return (
        f"The model's output {manifest.head.output_name!r} is {list(output.shape)} for an image, not {wanted}: "
        "the best classes cannot be listed. Explanations do not need it."
    )
