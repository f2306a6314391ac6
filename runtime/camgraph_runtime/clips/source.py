"""Reads the frames of a clip that the network gets: from a video file, a list of images, or an array."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.clips import Taken
from camgraph_core.errors import InvalidInputError
from camgraph_core.explains_clips import Footage
from camgraph_core.painter import ImageSource
from camgraph_core.request import Request
from camgraph_core.types import AnyArray
from camgraph_runtime.clips.sampling import chosen, needed
from camgraph_runtime.video.reading import VideoReader


@dataclass(frozen=True)
class Chosen:
    """The frames that the network gets.

    Attributes:
        images: Each frame, in their order.
        taken: Which they are of what was given.
        request: What is asked, with the range of values where the whole clip says it.
        remarks: What the user should know, one sentence each.

    """

    images: Sequence[ImageSource]
    taken: Taken
    request: Request
    remarks: tuple[str, ...] = ()


def choose_frames(footage: Footage, spec: pb.InputSpec, request: Request, *, max_pixels: int) -> Chosen:
    """The frames of a clip, by the graph's rule.

    Args:
        footage: The clip, and the part of it.
        spec: How many frames the network takes, and which.
        request: What is asked.
        max_pixels: Largest frame of a video.

    Raises:
        InvalidInputError: There are no frames, or they cannot be read.
        UsageError: PyAV is not installed.

    """
    clip, source = spec.clip, footage.clip
    assert source is not None, "a tensor has no frames to choose from"
    if isinstance(source, str | Path):
        start, end = footage.start, footage.end
        with VideoReader(source, max_pixels=max_pixels) as video:
            count = video.count(start=start, end=end)
        numbers = _numbers(count, clip)
        with VideoReader(source, max_pixels=max_pixels) as video:
            found = {frame.number: frame for frame in video.pick(set(numbers), start=start, end=end)}
        frames = [found[number] for number in numbers]
        taken = Taken(numbers, [frame.seconds for frame in frames], clip.is_volume)
        return Chosen([frame.pixels for frame in frames], taken, request, _remarks(count, clip))
    if isinstance(source, np.ndarray):
        if source.ndim not in (3, 4):
            raise InvalidInputError(f"A clip is an array [T, H, W] or [T, H, W, C], not {list(source.shape)}.")
        if spec.channel_order != pb.CHANNEL_ORDER_STORED:
            request = _with_window(source, request)
    numbers = _numbers(len(source), clip)
    taken = Taken(numbers, None, clip.is_volume)
    return Chosen([source[number] for number in numbers], taken, request, _remarks(len(source), clip))


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
