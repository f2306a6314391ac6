"""Pictures as JPEG."""

from __future__ import annotations

import numpy as np
import simplejpeg

from camgraph_core.errors import UsageError
from camgraph_core.types import ByteArray


def encode_jpeg(picture: ByteArray, quality: int = 90) -> bytes:
    """JPEG of a picture, uint8 [H, W, 3] (RGB) or [H, W] (grey), with a quality of 1 to 100.

    Raises:
        UsageError: The quality is out of range.

    """
    if not 1 <= quality <= 100:
        raise UsageError(f"The JPEG quality is {quality}; it must lie in 1..100.")
    space, sampling = ("GRAY", "Gray") if picture.ndim == 2 else ("RGB", "420")
    pixels = np.ascontiguousarray(picture[:, :, None] if picture.ndim == 2 else picture)
    data: bytes = simplejpeg.encode_jpeg(pixels, quality, space, sampling)
    return data
