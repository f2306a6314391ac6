"""Classification: every class with its score and probability."""

from __future__ import annotations

import math
from collections.abc import Sequence

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.result import ClassScore
from camgraph_runtime.tasks.head_scores import read_head
from camgraph_runtime.tasks.reading import Outputs, label_of, unlisted
from camgraph_runtime.tasks.task import Column


class ClassReading:
    """Scores of the classes of an image; of a model that gives only the index of the best class, those of targets."""

    def __init__(self, manifest: pb.Manifest, _: Sequence[Column], outputs: Outputs) -> None:
        self._manifest = manifest
        self._indices = outputs[manifest.target.target_index_output]
        scores = outputs[manifest.target.target_score_output]
        self._known = {int(index): float(score) for index, score in zip(self._indices, scores, strict=False)}
        output, head = outputs[manifest.head.output_name], manifest.head
        only_winner = not head.output_is_ranked and output.size == 1 < head.num_classes and not head.single_logit
        self._winner = int(output.item()) if only_winner else None
        unreadable = self._winner is not None or head.output_is_ranked
        self._values = None if unreadable else read_head(output, head, self._known)
        self.warnings = [] if self._values else [unlisted(manifest, output, f"{head.num_classes} classes")]

    def best(self, count: int) -> list[ClassScore]:
        """The best classes by score."""
        if self._values is None:
            return [self._class_score(self._winner)][:count] if self._winner is not None else []
        return [self._class_score(index) for index in self._values.best(count)]

    def target(self, column: int) -> ClassScore:
        """The class of a column."""
        return self._class_score(int(self._indices[column]))

    def _class_score(self, index: int) -> ClassScore:
        values = self._values
        return ClassScore(
            class_index=index,
            label=label_of(self._manifest, index),
            score=self._known.get(index, math.nan) if values is None else float(values.scores[index]),
            probability=math.nan if values is None else float(values.probabilities[index]),
        )
