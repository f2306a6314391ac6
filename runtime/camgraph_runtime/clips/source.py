"""Reads the frames of a clip that the network gets: from a video file, a list of images, or an array."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import numpy as np

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.errors import InvalidInputError, UsageError
from camgraph_core.painter import ImageSource
from camgraph_core.request import Request
from camgraph_core.types import AnyArray
from camgraph_runtime.clips.sampling import chosen, needed
from camgraph_runtime.video.reading import VideoReader

ClipSource: TypeAlias = str | Path | AnyArray | Sequence[ImageSource]
"""The path of a video, an array [T, H, W] or [T, H, W, C], or a list of images, as `Explainer` takes them."""


@dataclass(frozen=True)
class Chosen:
    """The frames that the network gets.

    Attributes:
        images: Each frame, in their order.
        numbers: Their numbers in what was given.
        seconds: When each is shown, of a video; None of others.
        request: What is asked, with the range of values where the whole clip says it.
        remarks: What the user should know, one sentence each.

    """

    images: Sequence[ImageSource]
    numbers: Sequence[int]
    seconds: Sequence[float] | None
    request: Request
    remarks: tuple[str, ...] = ()


def choose_frames(
    source: ClipSource, spec: pb.InputSpec, request: Request, *, start: float, end: float | None, max_pixels: int
) -> Chosen:
    """The frames of a clip, by the graph's rule.

    Args:
        source: The clip.
        spec: How many frames the network takes, and which.
        request: What is asked.
        start: Seconds from which on frames of a video are taken.
        end: Seconds up to which they are.
        max_pixels: Largest frame of a video.

    Raises:
        InvalidInputError: There are no frames, or they cannot be read.
        UsageError: PyAV is not installed, or a part is named of what is no video.

    """
    clip = spec.clip
    if isinstance(source, str | Path):
        with VideoReader(source, max_pixels=max_pixels) as video:
            count = video.count(start=start, end=end)
        numbers = _numbers(count, clip)
        with VideoReader(source, max_pixels=max_pixels) as video:
            found = {frame.number: frame for frame in video.pick(set(numbers), start=start, end=end)}
        frames = [found[number] for number in numbers]
        seconds = [frame.seconds for frame in frames]
        return Chosen([frame.pixels for frame in frames], numbers, seconds, request, _remarks(count, clip))
    if start or end is not None:
        raise UsageError("A part in seconds is of a video; cut a list or an array yourself.")
    if isinstance(source, np.ndarray):
        if source.ndim not in (3, 4):
            raise InvalidInputError(f"A clip is an array [T, H, W] or [T, H, W, C], not {list(source.shape)}.")
        if spec.channel_order != pb.CHANNEL_ORDER_STORED:
            request = _with_window(source, request)
    numbers = _numbers(len(source), clip)
    return Chosen([source[number] for number in numbers], numbers, None, request, _remarks(len(source), clip))


def _numbers(count: int, clip: pb.Clip) -> Sequence[int]:
    if not count:
        raise InvalidInputError("The clip has no frames in the part that is asked for.")
    return chosen(count, clip)


def _remarks(count: int, clip: pb.Clip) -> tuple[str, ...]:
    if count >= needed(clip):
        return ()
    what = "slices" if clip.is_volume else "frames"
    taken = f"The network takes {clip.frames} {what}, over {needed(clip)} of them"
    return (f"{taken}, and {count} were given: some come twice.",)


def _with_window(array: AnyArray, request: Request) -> Request:
    """The request with the range of a whole volume, where it is not of bytes: slices must not have one each."""
    if array.dtype == np.uint8 or request.window is not None or not array.size:
        return request
    finite = array[np.isfinite(array)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    return replace(request, window=(low, high if high > low else low + 1))
