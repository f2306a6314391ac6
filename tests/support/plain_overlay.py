"""The plain definitions of pictures, over whole arrays: what the product must equal bit by bit.

They are written as in grad-cam 1.5.7 and take many times the memory of a photo.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from camgraph_core.frame import Frame

OPENCV_COLOURS = {
    "jet": cv2.COLORMAP_JET,
    "viridis": cv2.COLORMAP_VIRIDIS,
    "turbo": cv2.COLORMAP_TURBO,
    "inferno": cv2.COLORMAP_INFERNO,
}


def plain_colours(heatmap: NDArray[Any], colormap: str) -> NDArray[np.uint8]:
    steps = (np.float32(255) * np.nan_to_num(heatmap.astype(np.float32), nan=0.0)).astype(np.uint8)
    return np.asarray(cv2.cvtColor(cv2.applyColorMap(steps, OPENCV_COLOURS[colormap]), cv2.COLOR_BGR2RGB), np.uint8)


def plain_overlay(
    photo: NDArray[np.uint8], heatmap: NDArray[Any], colormap: str = "jet", image_weight: float = 0.5
) -> NDArray[np.uint8]:
    colours = plain_colours(heatmap, colormap).astype(np.float32) / np.float32(255)
    image = photo.astype(np.float32) / np.float32(255)
    mix = np.float32(1 - image_weight) * colours + np.float32(image_weight) * image
    brightest = np.max(mix)
    if brightest > 0:
        mix = mix / brightest
    return (np.float32(255) * mix).astype(np.uint8)


def plain_grey(heatmap: NDArray[Any]) -> NDArray[np.uint8]:
    return np.rint(np.clip(np.nan_to_num(heatmap, nan=0.0), 0, 1) * 255).astype(np.uint8)


def plain_laid(cells: NDArray[np.float32], frame: Frame) -> NDArray[np.float32]:
    """A map [h_in, w_in] of the network's input on the photo, float32 [H, W]: bilinear, 0 where nothing was seen."""
    top, bottom, down, seen_rows = frame.vertical.taps()
    left, right, across, seen_columns = frame.horizontal.taps()
    wide = _between(cells[:, left], cells[:, right], across[None, :])
    wide[:, ~seen_columns] = 0
    photo = _between(wide[top], wide[bottom], down[:, None])
    photo[~seen_rows] = 0
    return photo


def _between(
    first: NDArray[np.float32], second: NDArray[np.float32], weight: NDArray[np.float32]
) -> NDArray[np.float32]:
    return (second - first) * weight + first
