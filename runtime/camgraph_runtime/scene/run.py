"""One scene on its way through the network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Self, TypeAlias

import numpy as np

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.errors import InvalidInputError, UsageError
from camgraph_core.request import Request
from camgraph_core.result import Result
from camgraph_core.shown import Shown
from camgraph_core.target import Target
from camgraph_core.tiles import Tile
from camgraph_core.types import AnyArray, ByteArray, FloatArray
from camgraph_core.windows import WINDOWS
from camgraph_runtime.explainer import Explainer
from camgraph_runtime.plan import find_layer, make_prediction_plan
from camgraph_runtime.preprocess.shown import choose_shown, refuse_bands
from camgraph_runtime.preprocess.tones import Tones
from camgraph_runtime.preprocess.window import spread
from camgraph_runtime.scene.mosaic import Mosaic
from camgraph_runtime.scene.source import Scene
from camgraph_runtime.scene.windows import Counts

_SAMPLES = 16  # windows that tell how bands are shown
_SAMPLED = 1 << 20  # values of them

Progress: TypeAlias = Callable[[int, int], None]
"""Is told how many windows are done, and of how many."""


@dataclass(frozen=True)
class SceneRun:
    """One scene on its way.

    Attributes:
        explainer: Explains the windows.
        scene: The pixels.
        windows: The windows over them.
        mosaic: Takes what the windows give.
        request: What is asked of the scene; its value for no data is settled.
        shown: How bands are shown; None of grey and colour.
        remark: What the user should know of its values; empty if nothing.
        progress: Is told of each window.

    """

    explainer: Explainer
    scene: Scene
    windows: Sequence[Tile]
    mosaic: Mosaic
    request: Request
    shown: Shown | None
    remark: str
    progress: Progress | None

    @classmethod
    def over(
        cls,
        explainer: Explainer,
        scene: Scene,
        windows: Sequence[Tile],
        mosaic: Mosaic,
        request: Request,
        progress: Progress | None,
    ) -> Self:
        """A run over a scene, of which some windows tell how its bands are shown.

        Raises:
            UsageError: There is no such band, or colours are numbers of no known range.

        """
        spec = explainer.manifest.input
        parts = [scene.read(*window) for window in windows[:: max(1, len(windows) // _SAMPLES)]]
        shown, remark = None, ""
        if spec.channel_order == pb.CHANNEL_ORDER_STORED:
            thin = max(1, round((sum(part.size for part in parts) / _SAMPLED) ** 0.5))
            sample = np.concatenate([part[::thin, ::thin].reshape(-1, 1, part.shape[2]) for part in parts])
            shown = choose_shown(sample, spec, request.style, request.nodata)
        else:
            request, remark = _colours(parts, scene.tones, request)
        return cls(explainer, scene, windows, mosaic, request, shown, remark, progress)

    def results(self, targets: Sequence[Target]) -> Iterator[tuple[float, Result]]:
        """For each window that has data how much of the scene it counts for, and its result.

        Without targets a result has predictions alone. Where windows overlap, they share what each pixel counts.

        With targets, the mosaic takes maps and pictures.

        Raises:
            InvalidInputError: There is no data.

        """
        has_data, counts = False, Counts(self.windows, self.scene.size, self.mosaic.grid.overlap)
        for number, window in enumerate(self.windows, start=1):
            pixels = self.scene.read(*window)
            missing = None if self.shown is None else self.shown.missing(pixels)
            photo = None if self.shown is None else self.shown.picture(pixels)
            if missing is None or not missing.all():
                has_data = True
                counted = counts.of(window) if missing is None else counts.of(window) * ~missing
                result, seen = self._answer(window, pixels, counted, targets)
                photo = seen if photo is None else photo
                yield float(counted.sum(dtype=np.float64)), result
            if targets and photo is not None:
                self.mosaic.look(window, photo, missing)
            if self.progress is not None:
                self.progress(number, len(self.windows))
        if not has_data:
            raise InvalidInputError("The scene has no data: every pixel is NaN, or has the value that stands for none.")

    def _answer(
        self, window: Tile, pixels: AnyArray, counted: FloatArray, targets: Sequence[Target]
    ) -> tuple[Result, ByteArray]:
        """The result of a window, and its photo."""
        explainer = self.explainer
        style = replace(self.request.style, max_side=None, display_bands=(), stretch=None)
        request = replace(
            self.request,
            targets=targets,
            top_k=0,
            num_predictions=max(1, explainer.num_classes),
            outputs=(),
            style=style,
            scaled_decoding=False,
        )
        plan = explainer.plan(request) if targets else make_prediction_plan(explainer.task, request)
        network_input = replace(explainer.prepare(pixels, request), counted=counted)
        assert network_input.prepared is not None
        plan = explainer.fit(plan, network_input)
        [inference] = explainer.infer([network_input], [plan])
        result = explainer.finish(plan, network_input, inference)
        if targets:
            layers = [find_layer(explainer.manifest, name) for name in result.explanations[0].layers]
            maps = [explanation.raw_maps for explanation in result.explanations]
            self.mosaic.add(window, maps, layers, result.canvas.frame)
        return result, network_input.prepared.photo


def _colours(parts: Sequence[AnyArray], tones: Tones, request: Request) -> tuple[Request, str]:
    """The request with what is black and white in all windows alike, and a remark on that."""
    refuse_bands(request)
    dtype = parts[0].dtype
    if dtype == np.uint8 or request.window is not None:
        return request, ""
    if dtype != np.uint16:
        raise UsageError(
            f"The scene's colours are {dtype}, and each window would be spread by itself. Say what is black and what "
            "is white with a window (--window LOW,HIGH)."
        )
    if tones.most is not None and tones.most < np.iinfo(np.uint16).max:
        return replace(request, window=(0, tones.most)), ""
    return replace(request, window=WINDOWS["16bit"]), spread(max(parts, key=np.max)).remark
