"""The pixels that a target's score was taken over, as cells of the score map that lie on the photo."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from camgraph_core.frame import Frame, Size, of_shrunk_photo
from camgraph_core.laid import LaidMap
from camgraph_core.types import AnyArray, ByteArray


@dataclass(frozen=True, eq=False)
class Marked:
    """Cells of a score map.

    Attributes:
        cells: bool [h, w].
        frame: Where the photo (or the tensor that was given) lies on the score map.

    """

    cells: AnyArray
    frame: Frame

    def within(self, size: Size) -> LaidMap:
        """The cells on the photo at a size: from 0.5 on a pixel is inside, bilinear between cells."""
        return LaidMap(self.cells.astype(np.float32), of_shrunk_photo(self.frame, size))

    def mask(self) -> ByteArray:
        """The cells on the photo, uint8 [H, W], 1 inside and 0 outside."""
        return (self.within(self.frame.photo_size).whole() >= 0.5).astype(np.uint8)
