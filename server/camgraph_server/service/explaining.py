"""The work of one explanation, from a request to its result; runs on a worker thread."""

from __future__ import annotations

from camgraph_core.errors import TooLargeError
from camgraph_core.frame import fitted
from camgraph_core.result import Result
from camgraph_runtime import Explainer
from camgraph_runtime.network_input import NetworkInput
from camgraph_runtime.plan import Plan
from camgraph_server.config import MIB
from camgraph_wire.requests import Addressed

_HEATMAP_CELL_BYTES = 4
_PICTURE_CELL_BYTES = 3


def explain(explainer: Explainer, addressed: Addressed, max_bytes: int) -> Result:
    """Answers one request; the model's name and version, queue and total time are left to the caller.

    Args:
        explainer: The model.
        addressed: What to explain.
        max_bytes: Most memory for the heatmaps of one request.

    Raises:
        CamgraphError: The image, a target or an option cannot be used, or the graph lacks what was asked for.

    """
    plan = explainer.plan(addressed.request, has_photo=addressed.image is not None)
    network_input = _network_input(explainer, addressed)
    _check_heatmaps(network_input, plan, max_bytes)
    plan = explainer.fit(plan, network_input)
    [inference] = explainer.infer([network_input], [plan])
    return explainer.finish(plan, network_input, inference)


def _network_input(explainer: Explainer, addressed: Addressed) -> NetworkInput:
    if addressed.image is None:
        return explainer.accept(addressed.tensor)
    return explainer.prepare(addressed.image, addressed.request.window)


def _check_heatmaps(network_input: NetworkInput, plan: Plan, max_bytes: int) -> None:
    """Refuses what would fill the memory: each target has a heatmap of the size that is asked for."""
    if network_input.prepared is None:
        return
    height, width = fitted(network_input.frame.photo_size, plan.request.style.max_side)
    cell_bytes = _HEATMAP_CELL_BYTES + (_PICTURE_CELL_BYTES if plan.method.needs_image_gradient else 0)
    needed = len(plan.targets) * height * width * cell_bytes
    if needed > max_bytes:
        raise TooLargeError(
            f"{len(plan.targets)} heatmaps of {width} x {height} pixels take {needed / MIB:.0f} MiB, more "
            f"than the limit of {max_bytes / MIB:.0f} MiB; set max_side, send a smaller photo, or ask for less."
        )
