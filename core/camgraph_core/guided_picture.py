"""Guided Grad-CAM as a picture."""

from __future__ import annotations

import numpy as np

from camgraph_core.frame import Frame
from camgraph_core.laid import LaidMap
from camgraph_core.tiles import tiles
from camgraph_core.types import ByteArray, FloatArray

_MIDDLE = np.float32(0.5)
_SPREAD = np.float32(0.1)
_EPSILON = np.float32(1e-5)


def guided_picture(guided: FloatArray, frame: Frame) -> ByteArray:
    """A guided map as a picture in the photo's frame.

    The values, with the mean taken away, are divided by (standard deviation + 1e-5), scaled by 0.1, shifted
    by 0.5 and cut to 0..1, as ``deprocess_image`` of grad-cam 1.5.7 does, bit for bit where the photo is the
    input; mean and standard deviation are those of all pixels and channels of the network's input. What lies
    outside the input is 0.5. Values that are not finite count as 0.

    Args:
        guided: float32 [h_in, w_in, 3], signed.
        frame: Where the photo lies in the network's input.

    Returns:
        uint8 [H, W, 3], RGB.

    """
    finite = np.where(np.isfinite(guided), guided, np.float32(0))
    centred = finite - np.mean(finite)
    spread = centred / (np.std(centred) + _EPSILON) * _SPREAD
    cut = np.clip(spread, -_MIDDLE, _MIDDLE)
    channels = [LaidMap(cut[:, :, channel], frame) for channel in range(cut.shape[2])]
    picture = np.empty((*frame.photo_size, len(channels)), np.uint8)
    for tile in tiles(*frame.photo_size):
        laid = np.stack([channel[tile] for channel in channels], axis=2)
        picture[tile] = (laid + _MIDDLE) * np.float32(255)
    return picture
