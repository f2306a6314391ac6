"""Classification: every class with its score and probability."""

from __future__ import annotations

from collections.abc import Sequence

from camgraph.v1.manifest_pb2 import Manifest
from camgraph_runtime.columns import Column
from camgraph_runtime.head import read_head
from camgraph_runtime.readings.reading import Outputs, label_of
from camgraph_runtime.result import ClassScore


class ClassReading:
    """Scores of the classes of an image."""

    warnings: Sequence[str] = ()

    def __init__(self, manifest: Manifest, _: Sequence[Column], outputs: Outputs) -> None:
        self._manifest = manifest
        self._indices = outputs[manifest.target.target_index_output]
        scores = outputs[manifest.target.target_score_output]
        known = {int(index): float(score) for index, score in zip(self._indices, scores, strict=False)}
        self._values = read_head(outputs[manifest.head.output_name], manifest.head, known)

    def best(self, count: int) -> list[ClassScore]:
        """The best classes by score."""
        return [self._class_score(index) for index in self._values.best(count)]

    def target(self, column: int) -> ClassScore:
        """The class of a column."""
        return self._class_score(int(self._indices[column]))

    def _class_score(self, index: int) -> ClassScore:
        return ClassScore(
            class_index=index,
            label=label_of(self._manifest, index),
            score=float(self._values.scores[index]),
            probability=float(self._values.probabilities[index]),
        )
