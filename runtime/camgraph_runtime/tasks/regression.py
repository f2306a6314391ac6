"""Regression: the number, or the several numbers, that a model gives; there are no probabilities and no classes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from camgraph.v1.manifest_pb2 import Manifest
from camgraph_core.result import NO_CLASS, ClassScore
from camgraph_runtime.tasks.reading import Outputs, label_of, unlisted
from camgraph_runtime.tasks.task import Column


class ValueReading:
    """The numbers of an image. Targets of a single one are "more" and "less" of it, else they are the numbers."""

    def __init__(self, manifest: Manifest, _: Sequence[Column], outputs: Outputs) -> None:
        self._manifest = manifest
        self._indices = outputs[manifest.target.target_index_output]
        self._scores = outputs[manifest.target.target_score_output]
        self._single = manifest.head.single_logit
        output, count = outputs[manifest.head.output_name], 1 if self._single else manifest.head.num_classes
        self._values = output.astype(np.float64).ravel() if output.size == count else None
        wanted = "one number" if self._single else f"{count} numbers"
        self.warnings = [] if self._values is not None else [unlisted(manifest, output, wanted)]

    def best(self, count: int) -> list[ClassScore]:
        """The first numbers, in the model's own order: numbers are not ranked."""
        if self._values is None or not count:
            return []
        if self._single:
            return [ClassScore(NO_CLASS, "", math.nan, math.nan, value=float(self._values[0]))]
        return [
            ClassScore(index, label_of(self._manifest, index), math.nan, math.nan, value=float(value))
            for index, value in enumerate(self._values[:count])
        ]

    def target(self, column: int) -> ClassScore:
        """The number of a column, and which way it is explained."""
        index = int(self._indices[column])
        value = math.nan if self._values is None else float(self._values[0 if self._single else index])
        return ClassScore(index, label_of(self._manifest, index), float(self._scores[column]), math.nan, value=value)
