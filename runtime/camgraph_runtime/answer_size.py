"""What an answer would take, known before anything of it is drawn."""

from __future__ import annotations

from camgraph_core.errors import TooLargeError
from camgraph_core.frame import fitted
from camgraph_core.outputs import DEFAULT_OUTPUTS, OUTPUTS
from camgraph_runtime.network_input import NetworkInput
from camgraph_runtime.plan import Plan

_MIB = 1024 * 1024
_HEATMAP_CELL_BYTES = 4


def check_answer_size(network_input: NetworkInput, plan: Plan, *, max_bytes: int, max_drawn: int) -> None:
    """Refuses what would fill the memory, or take minutes: each target is drawn in the size that is asked for.

    Args:
        network_input: The image, or the clip.
        plan: What is asked of it.
        max_bytes: Most bytes of all heatmaps.
        max_drawn: Most pixels of all pictures.

    Raises:
        TooLargeError: The answer would take more.
    """
    height, width = fitted(network_input.frame.photo_size, plan.request.style.max_side)
    outputs = plan.request.outputs or DEFAULT_OUTPUTS
    targets, frames = len(plan.targets) + plan.request.bank, network_input.frames
    needed = targets * frames * height * width * _HEATMAP_CELL_BYTES
    if "heatmap" in outputs and needed > max_bytes:
        raise TooLargeError(
            f"{targets * frames} heatmaps of {width} x {height} pixels take {needed / _MIB:.0f} MiB, more "
            f"than the limit of {max_bytes / _MIB:.0f} MiB; set max_side, send a smaller photo, or ask for less."
        )
    pictures = sum(OUTPUTS[name].draw is not None for name in outputs)
    drawn = targets * frames * pictures * height * width
    if drawn > max_drawn:
        raise TooLargeError(
            f"{targets} targets with {pictures} outputs of {_of_frames(frames)}{width} x {height} pixels each are "
            f"{drawn / 1e6:.0f} million pixels to draw, more than the limit of {max_drawn / 1e6:.0f} million; "
            "set max_side, send a smaller photo, or ask for less."
        )


def _of_frames(count: int) -> str:
    return f"{count} frames of " if count > 1 else ""
