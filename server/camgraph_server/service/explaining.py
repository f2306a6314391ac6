"""The work of one `Explain` call, from request message to response message; runs on a worker thread."""

from __future__ import annotations

import time
from dataclasses import replace

from camgraph.v1 import explanation_pb2 as pb
from camgraph_core.errors import TooLargeError
from camgraph_core.request import Request, Style
from camgraph_runtime import Explainer, Result
from camgraph_runtime.network_input import NetworkInput
from camgraph_runtime.plan import Plan
from camgraph_server.config import MIB
from camgraph_server.service.rendering import asked_kinds, check_method, render
from camgraph_wire.requests import Addressed
from camgraph_wire.scores import score_message, statistics_message, timings_message

_HEATMAP_CELL_BYTES = 4
_PICTURE_CELL_BYTES = 3


def explain(explainer: Explainer, addressed: Addressed, max_bytes: int) -> pb.ExplainResponse:
    """Answers one request; the model's name and version, queue and total time are left to the caller.

    Args:
        explainer: the model.
        addressed: what to explain.
        max_bytes: most memory for the heatmaps of one request.

    Raises:
        CamgraphError: the image, a target or an option cannot be used, or the graph lacks what was asked for.
    """
    kinds = asked_kinds(addressed)
    plan = explainer.plan(addressed.request)
    check_method(kinds, plan.method)
    network_input = _network_input(explainer, addressed)
    _check_heatmaps(network_input, plan, max_bytes)
    plan = explainer.fit(plan, network_input)
    [inference] = explainer.infer([network_input], [plan])
    result = explainer.finish(plan, network_input, inference)
    return _response(addressed.request, result, kinds, addressed.request.style)


def _network_input(explainer: Explainer, addressed: Addressed) -> NetworkInput:
    if addressed.image is None:
        return explainer.accept(addressed.tensor)
    return explainer.prepare(addressed.image, addressed.request.window)


def _check_heatmaps(network_input: NetworkInput, plan: Plan, max_bytes: int) -> None:
    """Refuses what would fill the memory: each target has a heatmap of the photo's size."""
    if network_input.prepared is None:
        return
    height, width = network_input.prepared.photo.shape[:2]
    cell_bytes = _HEATMAP_CELL_BYTES + (_PICTURE_CELL_BYTES if plan.method.needs_image_gradient else 0)
    needed = len(plan.targets) * height * width * cell_bytes
    if needed > max_bytes:
        raise TooLargeError(
            f"{len(plan.targets)} heatmaps of {width} x {height} pixels take {needed / MIB:.0f} MiB, more "
            f"than the limit of {max_bytes / MIB:.0f} MiB; send a smaller photo, or ask for fewer targets."
        )


def _response(request: Request, result: Result, kinds: list[pb.OutputKind], style: Style) -> pb.ExplainResponse:
    started = time.perf_counter()
    explanations = [
        pb.Explanation(
            target=score_message(explanation.target),
            contrast=score_message(explanation.contrast) if explanation.contrast is not None else None,
            statistics=statistics_message(explanation.statistics),
            outputs=render(explanation, kinds, result.photo, style),
            layers=explanation.layers,
            method=explanation.method,
        )
        for explanation in result.explanations
    ]
    height, width = result.photo.shape[:2] if result.photo is not None else (0, 0)
    return pb.ExplainResponse(
        predictions=map(score_message, result.predictions),
        explanations=explanations,
        timings=timings_message(replace(result.timings, render_ms=(time.perf_counter() - started) * 1e3)),
        request_id=request.request_id,
        warnings=result.warnings,
        image_width=width,
        image_height=height,
    )
