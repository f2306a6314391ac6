"""Colour maps: the colour of each of 256 levels, as OpenCV has them."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import numpy as np
from PIL import Image

from camgraph_core.names import unknown_name
from camgraph_core.types import ByteArray

COLORMAPS = ("jet", "viridis", "turbo", "inferno")
"""Names of the colour maps, in the order of the rows of ``colormaps.png``."""


def check_colormap(name: str) -> None:
    """Checks that there is such a colour map.

    Raises:
        UsageError: There is none.

    """
    if name not in COLORMAPS:
        raise unknown_name("colour map", name, COLORMAPS)


@cache
def colours_of(colormap: str) -> ByteArray:
    """The 256 colours of a map, uint8 [256, 3], RGB.

    Raises:
        UsageError: There is no such colour map.

    """
    check_colormap(colormap)
    with (files(__package__) / "colormaps.png").open("rb") as file:
        rows: ByteArray = np.asarray(Image.open(file))
    colours: ByteArray = rows[COLORMAPS.index(colormap)]
    return colours
