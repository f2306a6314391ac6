"""Embedding models: a score is the inner product of the embedding with a direction; there are no classes."""

from __future__ import annotations

import math
from collections.abc import Sequence

from camgraph.v1.manifest_pb2 import Manifest
from camgraph_core.result import NO_CLASS, ClassScore
from camgraph_runtime.tasks.reading import Outputs
from camgraph_runtime.tasks.task import Column


class DirectionReading:
    """Scores of the asked directions."""

    warnings: Sequence[str] = ()

    def __init__(self, manifest: Manifest, _: Sequence[Column], outputs: Outputs) -> None:
        self._scores = outputs[manifest.target.target_score_output]

    def best(self, _: int) -> list[ClassScore]:
        """None: an embedding has no classes."""
        return []

    def target(self, column: int) -> ClassScore:
        """The inner product of a column."""
        return ClassScore(NO_CLASS, "", float(self._scores[column]), math.nan)
