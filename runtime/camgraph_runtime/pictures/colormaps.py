"""Colour maps: the colour of each of 256 levels, as OpenCV has them."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import numpy as np
from PIL import Image

from camgraph_core.names import unknown_name
from camgraph_core.style import COLORMAPS
from camgraph_core.types import ByteArray


@cache
def colours_of(colormap: str) -> ByteArray:
    """The 256 colours of a map, uint8 [256, 3], RGB.

    Raises:
        UsageError: There is no such colour map.

    """
    if colormap not in COLORMAPS:
        raise unknown_name("colour map", colormap, COLORMAPS)
    with (files(__package__) / "colormaps.png").open("rb") as file:
        rows: ByteArray = np.asarray(Image.open(file))
    colours: ByteArray = rows[COLORMAPS.index(colormap)]  # the picture has a row for each, in this order
    return colours
