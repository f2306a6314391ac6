"""From checked requests to the inputs of a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.types import AnyArray
from camgraph_runtime.tasks.task import Column


def target_feeds(manifest: pb.Manifest, rows: Sequence[Sequence[Column]]) -> dict[str, AnyArray]:
    """The inputs that name targets, [N, T, ...], one row an image.

    Rows with fewer columns are filled up with their first one. Masks lie on the score map.
    """
    width = max(len(row) for row in rows)
    filled = [[*row, *[row[0]] * (width - len(row))] for row in rows]
    names = manifest.target
    values: tuple[tuple[str, Callable[[Column], object], type[np.generic]], ...] = (
        (names.target_input, lambda column: column.code, np.int64),
        (names.anchor_input, lambda column: column.anchor, np.int64),
        (names.mask_input, lambda column: column.mask, np.uint8),
        (names.cotangent_input, lambda column: column.cotangent, np.float32),
    )
    return {
        name: np.array([[value(column) for column in row] for row in filled], dtype)
        for name, value, dtype in values
        if name
    }


def switch_feed(manifest: pb.Manifest, *, explain: bool) -> dict[str, AnyArray]:
    """The input that turns the gradients on, where the graph has one."""
    return {manifest.explain_switch: np.array(explain)} if manifest.explain_switch else {}
