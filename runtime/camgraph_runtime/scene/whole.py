"""The result of a whole scene, from what its windows gave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from camgraph_core.canvas import Canvas
from camgraph_core.explanation import Explanation
from camgraph_core.result import ClassScore, Result
from camgraph_core.scaled import Area, ScaledPhoto, Span
from camgraph_core.statistics import MapStatistics
from camgraph_core.types import FloatArray
from camgraph_runtime.maps.branches import add_up
from camgraph_runtime.maps.placement import Placement
from camgraph_runtime.maps.profiles import get_profile
from camgraph_runtime.network_input import as_it_is
from camgraph_runtime.painter import load_painter
from camgraph_runtime.preprocess.shown import remark_on
from camgraph_runtime.remarks import warnings_of
from camgraph_runtime.scene.run import SceneRun
from camgraph_runtime.scene.tally import TargetTally


def result_of(run: SceneRun, predictions: Sequence[ClassScore], tallies: Sequence[TargetTally]) -> Result:
    """The result of a scene after all of its windows.

    Args:
        run: The run.
        predictions: The classes of the scene, best first.
        tallies: For each target what the windows said of it.

    """
    canvas = _canvas(run)
    explanations = [_explanation(run, canvas, number, tally) for number, tally in enumerate(tallies)]
    best = list(predictions[: run.request.num_predictions])
    warnings = [*_remarks(run), *warnings_of(explanations)]
    return Result(best, explanations, canvas, warnings=warnings, request_id=run.request.request_id)


def _canvas(run: SceneRun) -> Canvas:
    """The canvas of the scene, whose photo is at the fraction that was kept of it."""
    grid, mosaic = run.mosaic.grid, run.mosaic
    area = Area(*(Span(0, side / grid.fraction) for side in grid.size))
    style = run.request.style
    style = replace(style, max_side=min(style.max_side or max(grid.size), max(grid.size) // grid.fraction))
    missing = partial(as_it_is, mosaic.missing) if mosaic.missing.any() else None
    photo = ScaledPhoto(mosaic.photo, area)
    return Canvas(
        grid.frame, style, partial(as_it_is, mosaic.photo), load_painter, photo, shown=run.shown, read_missing=missing
    )


def _explanation(run: SceneRun, canvas: Canvas, number: int, tally: TargetTally) -> Explanation:
    maps = run.mosaic.maps(number)
    heatmap = _heatmap(run, maps, canvas)
    return replace(
        tally.last,
        target=tally.target,
        contrast=tally.contrast,
        statistics=MapStatistics.of(*maps, no_gradient=tally.has_no_gradient),
        canvas=canvas,
        given={"raw-map": maps, "input-heatmap": heatmap},
        marked=None,
    )


def _heatmap(run: SceneRun, maps: tuple[FloatArray, ...], canvas: Canvas) -> FloatArray:
    size = run.mosaic.grid.cells
    places = [Placement.over_input(size, size) for _ in maps]
    cells = maps
    if not run.request.layers and len(maps) > 1:
        summed, places = add_up(maps, places)
        cells = tuple(summed)
    heatmap = get_profile(run.request.profile)(cells, size, places)
    return heatmap if canvas.missing is None else np.where(canvas.missing, np.float32(0), heatmap)


def _remarks(run: SceneRun) -> list[str]:
    grid, missing = run.mosaic.grid, run.mosaic.missing.mean()
    (rows, columns), count = grid.size, len(run.windows)
    text = f"The scene of {columns} x {rows} pixels was explained in {count} window{'s' * (count > 1)}"
    remarks = [f"{text}; pictures and maps have 1/{grid.fraction} of its size." if grid.fraction > 1 else f"{text}."]
    if run.shown is not None:
        channels = run.scene.read(slice(0, 1), slice(0, 1)).shape[2]
        remarks.append(remark_on(run.shown, run.explainer.manifest.input, channels))
    remarks.append(run.remark)
    if missing:
        remarks.append(f"{missing:.1%} of the scene has no data and is left unpainted.")
    return [remark for remark in remarks if remark]
