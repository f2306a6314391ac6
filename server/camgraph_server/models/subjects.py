"""What a request is about, an image, a clip or a tensor, and what the model of it explains."""

from __future__ import annotations

from camgraph_core.errors import InvalidInputError, TooLargeError
from camgraph_core.request import Addressed
from camgraph_runtime.clips.explainer import ClipExplainer
from camgraph_runtime.explainers import AnyExplainer
from camgraph_runtime.network_input import NetworkInput
from camgraph_runtime.preprocess.memory import reading_bytes
from camgraph_runtime.run.stop import Stop
from camgraph_server.config.limits import MIB


def check_subject(explainer: AnyExplainer, addressed: Addressed) -> None:
    """Refuses an image where the model takes clips, frames where it takes images, and too many or few frames.

    Raises:
        InvalidInputError: It is so, or the request is about nothing.
    """
    if not addressed.has_photo and addressed.tensor is None:
        raise InvalidInputError("The request has neither an image nor a tensor; set one of them.")
    if isinstance(explainer, ClipExplainer):
        if addressed.image is not None:
            raise InvalidInputError(
                f"The model explains clips of {explainer.manifest.input.clip.frames} frames, not single images; send "
                "them as `frames` of camgraph.v1.ExplainRequest, as Client.clip_model does."
            )
        if addressed.frames is not None:
            explainer.check_count(len(addressed.frames))
    elif addressed.frames is not None:
        raise InvalidInputError("The model explains single images, not clips; send one image.")


def memory_of(explainer: AnyExplainer, addressed: Addressed, most: int) -> int:
    """Bytes that the image or the clip takes while it is worked on.

    Args:
        explainer: What works on it.
        addressed: What it is.
        most: Bytes that there are.

    Raises:
        InvalidInputError: It is no image, or one with too many pixels.
        TooLargeError: It takes more than there are.
    """
    if addressed.tensor is not None:
        return addressed.tensor.nbytes
    request, limit = addressed.request, explainer.limits.max_pixels
    files = (addressed.image,) if addressed.image is not None else addressed.frames or ()
    needed = 0
    for data in files:  # all frames stay until the clip is explained
        needed += reading_bytes(
            data, max_pixels=limit, frame=request.frame, nodata=request.nodata, in_full=explainer.sees_in_full
        )
        if needed > most:
            what = "the image" if addressed.image is not None else "the clip"
            raise TooLargeError(
                f"Reading {what} takes {needed / MIB:.0f} MiB of memory, more than the {most / MIB:.0f} MiB that this "
                "server has for images; send a smaller one."
            )
    return needed


def network_input_of(explainer: AnyExplainer, addressed: Addressed, stop: Stop | None = None) -> NetworkInput:
    """What goes into the network for a request, after `check_subject`.

    Args:
        explainer: What works on it.
        addressed: What it is.
        stop: Ends the work between two frames.

    Raises:
        CamgraphError: The image, a frame or the tensor cannot be used.
        StoppedError: `stop` ended the work.
    """
    if addressed.tensor is not None:
        return explainer.accept(addressed.tensor, addressed.request)
    if isinstance(explainer, ClipExplainer):
        return explainer.prepare(addressed.frames or (), addressed.request, stop)
    assert addressed.image is not None, "the request was checked"
    return explainer.prepare(addressed.image, addressed.request)
