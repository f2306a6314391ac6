"""TIFF files of many bands, as satellites' programs write them."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import tifffile

GEO_TAGS = (
    (33550, "d", 3, (10.0, 10.0, 0.0), True),  # pixels of 10 m
    (33922, "d", 6, (0.0, 0.0, 0.0, 600_000.0, 5_700_000.0, 0.0), True),  # the corner of the first pixel
    (34735, "H", 16, (1, 1, 0, 3, 1024, 0, 1, 1, 1025, 0, 1, 1, 3072, 0, 1, 32632), True),  # UTM zone 32 north
)


def tiff(image: np.ndarray, *, nodata: str = "", tags: tuple[Any, ...] = (), **options: Any) -> bytes:
    """The bytes of a TIFF with an image [H, W, C] (or [C, H, W] with planarconfig="separate")."""
    buffer = io.BytesIO()
    extra = [*tags, *([(42113, "s", 0, nodata, True)] if nodata else [])]
    options.setdefault("photometric", "minisblack")
    if image.ndim == 3:
        options.setdefault("planarconfig", "contig")
    tifffile.imwrite(buffer, image, extratags=extra, metadata=None, **options)
    return buffer.getvalue()
