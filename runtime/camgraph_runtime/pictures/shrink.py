"""Pictures no larger than somebody wants to see them."""

from __future__ import annotations

import cv2
import numpy as np

from camgraph_core.frame import Size
from camgraph_core.types import ByteArray


def shrunk(photo: ByteArray, size: Size) -> ByteArray:
    """The photo, uint8 [H, W, 3], at a smaller size: each pixel the mean of the area that it covers."""
    if photo.shape[:2] == size:
        return photo
    return np.asarray(cv2.resize(photo, size[::-1], interpolation=cv2.INTER_AREA), np.uint8)


def shrunk_mask(mask: ByteArray, size: Size) -> ByteArray:
    """A mask [H, W] at a smaller size, uint8: 255 where at least half of the area that a pixel covers is inside."""
    if mask.shape == size:
        return mask
    share = cv2.resize((mask != 0).astype(np.uint8) * np.uint8(255), size[::-1], interpolation=cv2.INTER_AREA)
    return np.where(share >= 128, 255, 0).astype(np.uint8)
