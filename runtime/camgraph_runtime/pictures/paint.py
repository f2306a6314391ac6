"""Everything that draws, as one module: `camgraph_core.painter.Painter` with Pillow and libjpeg-turbo."""

from __future__ import annotations

from camgraph_core.request import Window
from camgraph_core.types import ByteArray
from camgraph_runtime.limits import Limits
from camgraph_runtime.pictures.jpeg import encode_jpeg
from camgraph_runtime.pictures.outline import framed, outlined, traced
from camgraph_runtime.pictures.overlay import heatmap_to_gray, overlay
from camgraph_runtime.pictures.panel import result_panel
from camgraph_runtime.pictures.shrink import shrunk
from camgraph_runtime.pictures.unseen import with_unseen
from camgraph_runtime.preprocess import decode

__all__ = [
    "encode_jpeg",
    "framed",
    "heatmap_to_gray",
    "outlined",
    "overlay",
    "read_photo",
    "result_panel",
    "shrunk",
    "traced",
    "with_unseen",
]


def read_photo(source: bytes, window: Window | None = None) -> ByteArray:
    """The pixels of an encoded image for people, see `decode`."""
    return decode(source, max_pixels=Limits().max_pixels, window=window)
