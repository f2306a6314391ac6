"""Targets of each kind of model: which inputs name them, and which cotangent of the score they mean."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from camgraph.v1 import manifest_pb2 as pb
from camgraph_exporter.choose.score import Score
from camgraph_exporter.targets.head import Head
from camgraph_exporter.targets.interface import Interface
from camgraph_exporter.tasks.classification import attach_classification
from camgraph_exporter.tasks.detection import attach_detection
from camgraph_exporter.tasks.embedding import attach_embedding
from camgraph_exporter.tasks.regression import attach_regression
from camgraph_exporter.tasks.segmentation import attach_segmentation
from camgraph_exporter.vjp.backward import Backward

_ATTACH: dict[pb.Task, Callable[[Backward, Interface, Score], Head]] = {
    pb.TASK_CLASSIFICATION: attach_classification,
    pb.TASK_SEGMENTATION: attach_segmentation,
    pb.TASK_DETECTION: attach_detection,
    pb.TASK_EMBEDDING: attach_embedding,
    pb.TASK_REGRESSION: attach_regression,
}


def attach_head(op: Backward, interface: Interface, score: Score) -> Head:
    """Add the inputs and outputs of the score's task, and return the cotangent that its targets mean."""
    with op.scope("target"):
        ranked_by = None if score.ranked_by is None else op.residual(score.ranked_by)
        read = replace(score, value=op.residual(score.value), ranked_by=ranked_by)
        return _ATTACH[score.task](op, interface, read)
