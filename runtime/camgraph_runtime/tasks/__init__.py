"""What targets mean, one file per task; importing this package registers every task."""

from __future__ import annotations

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.errors import UnsupportedError
from camgraph_runtime.tasks import classification, dense_regression, detection, embedding, regression, segmentation
from camgraph_runtime.tasks.task import TASKS, Task

__all__ = ["classification", "dense_regression", "detection", "embedding", "regression", "segmentation", "task_of"]


def task_of(manifest: pb.Manifest, graph: str) -> Task:
    """The task of a graph; ``graph`` is its name in error messages.

    Raises:
        UnsupportedError: It is unknown; a newer exporter may have written it.

    """
    if manifest.task not in TASKS:
        raise UnsupportedError(f"{graph} explains a task that this version does not know. Install a newer camgraph.")
    return TASKS[manifest.task](manifest)
