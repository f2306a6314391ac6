"""Pictures no larger than somebody wants to see them."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from camgraph_runtime.errors import UsageError
from camgraph_runtime.preprocess import Frame
from camgraph_runtime.preprocess.geometry import Axis
from camgraph_runtime.types import ByteArray

Size = tuple[int, int]


def fitted(size: Size, max_side: int | None) -> Size:
    """Height and width of a picture whose longer side is at most ``max_side``; None keeps them. Nothing is enlarged.

    Raises:
        UsageError: The side is smaller than one pixel.

    """
    if max_side is None:
        return size
    if max_side < 1:
        raise UsageError(f"The longest side of a picture is {max_side}; it must be 1 pixel at least.")
    height, width = size
    factor = min(1.0, max_side / max(size))
    return max(1, round(height * factor)), max(1, round(width * factor))


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


def of_shrunk_photo(frame: Frame, size: Size) -> Frame:
    """The frame of a photo after it was shrunk to a size; the network's input stays where it is on it."""
    height, width = size
    return Frame(_of_shrunk(frame.vertical, height), _of_shrunk(frame.horizontal, width))


def _of_shrunk(axis: Axis, length: int) -> Axis:
    return axis if axis.photo == length else replace(axis, photo=length, scale=axis.scale * axis.photo / length)
