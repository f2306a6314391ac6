"""From checked requests to the inputs of a run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.types import AnyArray
from camgraph_runtime.tasks.slots import TargetSlot
from camgraph_runtime.tasks.task import Task


def target_feeds(task: Task, rows: Sequence[Sequence[TargetSlot]]) -> dict[str, AnyArray]:
    """The inputs that name targets, [N, T, ...], one row per image.

    Rows with fewer slots are filled up with their first one. Masks lie on the score map.
    """
    width = max(len(row) for row in rows)
    filled = [[*row, *[row[0]] * (width - len(row))] for row in rows]
    names = task.manifest.target
    return {
        getattr(names, item.field): np.array([[item.value(slot) for slot in row] for row in filled], item.dtype)
        for item in task.inputs
    }


def switch_feed(manifest: pb.Manifest, *, explain: bool) -> dict[str, AnyArray]:
    """The input that turns the gradients on, where the graph has one."""
    return {manifest.explain_switch: np.array(explain)} if manifest.explain_switch else {}
