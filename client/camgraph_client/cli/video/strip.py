"""The pictures of one frame side by side, as many and as large in every frame of a video."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from camgraph_core.frame import fitted
from camgraph_core.types import ByteArray
from camgraph_runtime.painter import load_painter


class Strip:
    """Lays overlays side by side. `max_side`: their longest side in pixels, as asked for."""

    def __init__(self, max_side: int | None) -> None:
        self._max_side, self._count = max_side, 0

    def of(self, frame: ByteArray, overlays: Sequence[ByteArray]) -> ByteArray:
        """The overlays of a frame, uint8 [H, W, 3] each; the frame itself in place of those that are missing."""
        self._count = self._count or max(len(overlays), 1)
        plain = self._plain(frame, overlays)
        return np.hstack([*overlays[: self._count], *[plain] * (self._count - len(overlays))])

    def _plain(self, frame: ByteArray, overlays: Sequence[ByteArray]) -> ByteArray:
        own = (frame.shape[0], frame.shape[1])
        size = (overlays[0].shape[0], overlays[0].shape[1]) if overlays else fitted(own, self._max_side)
        return frame if size == own else load_painter().shrunk(frame, size)
