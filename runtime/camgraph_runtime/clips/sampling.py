"""Which frames of a video, or slices of a volume, the network gets."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from camgraph.v1 import manifest_pb2 as pb


def chosen(count: int, clip: pb.Clip) -> Sequence[int]:
    """The numbers of the frames that make a clip, of `count` that are given; some come twice where these are too few.

    With a step they are that far apart, in the middle of what is given. Without one they lie in the middles of as many
    equal parts.
    """
    if not clip.step:
        places = (np.arange(clip.frames) + 0.5) * count / clip.frames
        return [int(place) for place in places]
    span = (clip.frames - 1) * clip.step + 1
    first = max((count - span) // 2, 0)
    return [min(first + i * clip.step, count - 1) for i in range(clip.frames)]


def needed(clip: pb.Clip) -> int:
    """How many frames it takes so that none comes twice."""
    return (clip.frames - 1) * (clip.step or 1) + 1
