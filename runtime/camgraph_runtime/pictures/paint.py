"""Everything that draws, as one module: `camgraph_core.painter.Painter` with Pillow and libjpeg-turbo."""

from __future__ import annotations

from camgraph_core.errors import InvalidInputError
from camgraph_core.shown import Shown
from camgraph_core.types import AnyArray, ByteArray
from camgraph_core.windows import Window
from camgraph_runtime.limits import Limits
from camgraph_runtime.pictures.jpeg import encode_jpeg
from camgraph_runtime.pictures.outline import framed, outlined, traced
from camgraph_runtime.pictures.overlay import heatmap_to_gray, overlay
from camgraph_runtime.pictures.panel import result_panel
from camgraph_runtime.pictures.play import clip_sheet, play_clip
from camgraph_runtime.pictures.shrink import shrunk
from camgraph_runtime.pictures.unseen import with_unseen
from camgraph_runtime.preprocess import decode
from camgraph_runtime.preprocess.decode import in_order, scale_of
from camgraph_runtime.preprocess.opening import as_stored, open_image
from camgraph_runtime.preprocess.pixels import read_stored
from camgraph_runtime.preprocess.window import spread

__all__ = [
    "clip_sheet",
    "encode_jpeg",
    "framed",
    "heatmap_to_gray",
    "outlined",
    "overlay",
    "play_clip",
    "read_bands",
    "read_photo",
    "result_panel",
    "shrunk",
    "traced",
    "with_unseen",
]


def read_photo(source: bytes, window: Window | None = None, frame: int | None = None) -> ByteArray:
    """The pixels of an encoded image for people, see `decode`."""
    return decode(source, max_pixels=Limits().max_pixels, window=window, frame=frame)


def read_bands(
    source: bytes, shown: Shown, window: Window | None = None, frame: int | None = None
) -> tuple[ByteArray, AnyArray | None]:
    """An encoded image of bands as it is shown, and where it has no data.

    Raises:
        InvalidInputError: It cannot be read, or has not these bands.

    """
    limit = Limits().max_pixels
    opened = as_stored(open_image(source, max_pixels=limit, frame=frame), max_pixels=limit)
    pixels = read_stored(opened)
    if max(shown.bands) >= pixels.shape[2]:
        raise InvalidInputError(f"The image has {pixels.shape[2]} channels, and no band {max(shown.bands) + 1}.")
    values = in_order(opened, pixels) if window is None else spread(pixels, scale_of(opened, window, pixels)).values
    return shown.picture(values), shown.missing(pixels)
