"""Explains scenes window by window, with the interface of an explainer."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any, cast

from camgraph_core.errors import UnsupportedError, UsageError
from camgraph_core.explains import Explains
from camgraph_core.painter import ImageSource
from camgraph_core.request import Request
from camgraph_core.result import Result
from camgraph_core.target import Target
from camgraph_core.types import AnyArray
from camgraph_runtime.explainer import Explainer
from camgraph_runtime.maps.profiles import get_profile
from camgraph_runtime.scene.mosaic import Grid, Mosaic
from camgraph_runtime.scene.run import Progress, SceneRun
from camgraph_runtime.scene.source import open_scene
from camgraph_runtime.scene.tally import Tally, TargetTally, check_targets, is_ranked, resolved
from camgraph_runtime.scene.whole import result_of
from camgraph_runtime.scene.windows import check_windows, windows_over

LONGEST_SIDE = 4096
"""Cells to the longer side of what is kept of a scene, where the request does not say ``max_side``."""


class SceneExplainer(Explains[Result]):
    """Explains scenes that are larger than what a network sees at once; `explain` is that of an `Explainer`.

    Each window is explained for the same class as an image of its own. The signed maps of the windows, which are in
    units of the score, are laid beside one another and blended where they overlap. Only the map of the whole scene is
    cut at zero and scaled to 0..1, so that a place is as hot as another one that speaks as much for the class.

    Args:
        explainer: Explains the windows.
        tile: Side of a window in pixels of the scene; the graph's own geometry then brings it to the network's size.
        overlap: Pixels that neighbouring windows share.
        progress: Is told after each window how many are done, and of how many.

    Raises:
        UsageError: A window is too small, or windows overlap by more than a half.
        UnsupportedError: The graph is for detection or embedding, whose targets belong to one window.

    """

    def __init__(
        self, explainer: Explainer, *, tile: int = 512, overlap: int = 64, progress: Progress | None = None
    ) -> None:
        check_windows(tile, overlap)
        if not explainer.task.suits_scenes:
            raise UnsupportedError(
                "A scene is explained window by window for classification, segmentation and regression. Boxes and "
                "embeddings belong to one window: crop the scene."
            )
        self.explainer, self.tile, self.overlap = explainer, tile, overlap
        self.manifest = explainer.manifest
        self._progress = progress

    def close(self) -> None:
        """Closes the explainer."""
        self.explainer.close()

    def _explain(self, image: ImageSource | None, tensor: AnyArray | None, request: Request) -> Result:
        if image is None or tensor is not None:
            raise UsageError("A scene is an image; a ready tensor goes in as it is, without windows.")
        started = time.perf_counter()
        run = self._run(image, request)
        targets = self._targets(run)
        tally, of_targets = Tally(), [TargetTally() for _ in targets]
        for share, result in run.results(targets):
            tally.add(share, result.predictions)
            for of_target, explanation in zip(of_targets, result.explanations, strict=True):
                of_target.add(share, explanation)
        result = result_of(run, tally.best(), of_targets)
        total_ms = (time.perf_counter() - started) * 1e3
        return replace(result, timings=replace(result.timings, total_ms=total_ms))

    def _run(self, image: ImageSource, request: Request) -> SceneRun:
        check_targets(request.targets)
        if request.bank:
            raise UsageError("Distances to a memory bank are those of an image, not of a scene: crop it.")
        if not get_profile(request.profile).in_input_frame or request.method == "guided-grad-cam":
            raise UsageError("A scene has one heatmap: leave out the profile raw and the method guided-grad-cam.")
        limit = self.explainer.limits.max_pixels
        scene, request = open_scene(cast("Any", image), self.manifest.input, request, max_pixels=limit)
        fraction = max(1, -(-max(scene.size) // (request.style.max_side or LONGEST_SIDE)))
        windows = windows_over(scene.size, self.tile, self.overlap, fraction)
        mosaic = Mosaic(Grid(scene.size, fraction, self.overlap))
        return SceneRun.over(self.explainer, scene, windows, mosaic, request, self._progress)

    def _targets(self, run: SceneRun) -> tuple[Target, ...]:
        """What is explained in every window: classes, after a look at the scene where they are named by rank."""
        task, request = self.explainer.task, run.request
        wanted = (*request.targets, *task.best_targets(request.top_k)) or tuple(task.default_targets())
        if not task.is_ranked or not any(map(is_ranked, wanted)):
            return wanted
        looked = Tally()
        for share, result in run.results(()):
            looked.add(share, result.predictions)
        ranking = looked.best()
        return tuple(resolved(target, ranking) for target in wanted)
