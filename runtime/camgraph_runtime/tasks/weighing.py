"""How much each cell of a score map counts: without data not at all, and once where windows of a scene share it."""

from __future__ import annotations

import numpy as np

from camgraph_core.types import FloatArray
from camgraph_runtime.tasks.marking import ScoreMap
from camgraph_runtime.tasks.task import View


def weights_of(score_map: ScoreMap, view: View) -> FloatArray:
    """How much each cell of the score map counts, float32 [h, w] in 0..1."""
    if view.counted is None or score_map.off_image:
        return np.ones(score_map.size, np.float32)
    weights = score_map.of_photo(view.counted)
    return weights if weights.any() else np.ones(score_map.size, np.float32)


def is_window(view: View) -> bool:
    """Whether the image is a window of a scene, whose score is taken over the cells as they count.

    The graph's own score counts all cells alike, so that the scene's would depend on how windows overlap.
    """
    return view.counted is not None and view.counted.dtype.kind == "f"
