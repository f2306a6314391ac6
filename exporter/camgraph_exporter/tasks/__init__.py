"""Kinds of models: one file per task, each with one object, which everything else asks."""

from __future__ import annotations

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.errors import UnsupportedError
from camgraph_exporter.tasks.classification import Classification
from camgraph_exporter.tasks.dense_regression import DenseRegression
from camgraph_exporter.tasks.detection import Detection
from camgraph_exporter.tasks.embedding import Embedding
from camgraph_exporter.tasks.regression import Regression
from camgraph_exporter.tasks.segmentation import Segmentation
from camgraph_exporter.tasks.task import Evidence, Score, Task

__all__ = ["TASKS", "Evidence", "Score", "Task", "task_claiming", "task_named", "task_of"]

# The last one claims a score first: the first one takes whatever no other task claims.
TASKS: tuple[Task, ...] = (Classification(), Segmentation(), Detection(), Embedding(), Regression(), DenseRegression())


def task_named(name: str) -> Task:
    """Return the task with this name, say "segmentation"."""
    return next(task for task in TASKS if task.name == name)


def task_of(manifest: pb.Manifest) -> Task:
    """Return the task of a graph; a manifest that states none is read as classification.

    Raises:
        UnsupportedError: the task is unknown; a newer exporter may have written it.

    """
    kind = manifest.task or TASKS[0].kind
    for task in TASKS:
        if task.kind == kind:
            return task
    raise UnsupportedError("The graph explains a task that this version does not know. Install a newer camgraph.")


def task_claiming(evidence: Evidence) -> tuple[Task, str]:
    """Return the task of a score of which nobody stated it, and a remark for the user."""
    claims = ((task, task.claim(evidence)) for task in reversed(TASKS))
    return next((task, note) for task, note in claims if note is not None)
