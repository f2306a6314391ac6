"""Pillow's resize of a part of the result alone, bit for bit.

A resize goes along rows first and along columns after that, each pass with weights that depend on both lengths of its
own axis. (Pillow 13 turns the order where the height shrinks much more than the width. Here it stays, so that results
do not depend on the version.) So the rows that no pixel of the part reads can be left out of the first pass, and the
columns that are not part of the result out of the second. The photo is read a band of rows at a time: Pillow takes four
bytes for each colour pixel, and never all of them at once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.frame import Size
from camgraph_core.scaled import Area, Span
from camgraph_core.types import AnyArray

_FILTERS = {
    pb.FILTER_UNSPECIFIED: Image.Resampling.BILINEAR,
    pb.FILTER_NEAREST: Image.Resampling.NEAREST,
    pb.FILTER_BILINEAR: Image.Resampling.BILINEAR,
    pb.FILTER_BICUBIC: Image.Resampling.BICUBIC,
    pb.FILTER_LANCZOS: Image.Resampling.LANCZOS,
    pb.FILTER_BOX: Image.Resampling.BOX,
}
_WIDEST = 3  # pixels to each side that the widest filter reads, before it is stretched by the scale
_PIXELS_PER_BAND = 1 << 17
_RGB_CHANNELS = 3


@dataclass(frozen=True)
class Part:
    """Some rows and columns of a picture."""

    rows: slice
    columns: slice

    @classmethod
    def whole(cls, size: Size) -> Part:
        """All rows and columns of a picture of this height and width."""
        return cls(slice(0, size[0]), slice(0, size[1]))


def resize_part(pixels: AnyArray, size: Size, filter_: pb.Filter, part: Part, area: Area | None = None) -> AnyArray:
    """A part of the picture resized to a size.

    Args:
        pixels: uint8 or float32 [H, W, C].
        size: Height and width of the whole result.
        filter_: The filter.
        part: What is wanted of the result; it lies inside of it.
        area: What of ``pixels`` becomes the whole result, the ``box`` of ``Image.resize``; by default all of them.

    Returns:
        The part, as ``Image.resize`` gives it, of the element type of ``pixels``.

    """
    method = _FILTERS[filter_]
    rows, columns = part.rows, part.columns
    have = pixels.shape[0], pixels.shape[1]
    area = area or Area.whole(have)
    if have == size and area == Area.whole(have):
        return pixels[rows, columns]
    if method == Image.Resampling.NEAREST:
        down, across = _nearest(have[0], size[0], area.rows), _nearest(have[1], size[1], area.columns)
        return pixels[down[rows, None], across[columns]]
    wide = _along_rows(pixels, size, method, part, area)
    return _resize(wide, (size[0], wide.shape[1]), method, Area(area.rows, Span(0, wide.shape[1])))[rows]


def _along_rows(pixels: AnyArray, size: Size, method: Image.Resampling, part: Part, area: Area) -> AnyArray:
    """The first pass: [H, w, C], of which the rows that the part does not read stay 0."""
    height, width, channels = pixels.shape
    read = _rows_read(height, size[0], part.rows, area.rows)
    wide = np.zeros((height, part.columns.stop - part.columns.start, channels), pixels.dtype)
    step = max(1, _PIXELS_PER_BAND // width)
    for top in range(read.start, read.stop, step):
        rows = slice(top, min(top + step, read.stop))
        count = rows.stop - rows.start
        band = Area(Span(0, count), area.columns)
        wide[rows] = _resize(pixels[rows], (count, size[1]), method, band)[:, part.columns]
    return wide


def _rows_read(have: int, want: int, part: slice, span: Span) -> slice:
    """The rows that the second pass may read for some rows of its result; one more to each side for rounding."""
    scale = span.length / want
    reach = _WIDEST * max(1.0, scale) + 1
    first, last = span.start + part.start * scale - reach, span.start + part.stop * scale + reach
    return slice(max(0, math.floor(first)), min(have, math.ceil(last)))


def _resize(pixels: AnyArray, size: Size, method: Image.Resampling, area: Area) -> AnyArray:
    """An area of a picture by Pillow: colours at once, other channels one by one."""
    if pixels.shape[:2] == size and area == Area.whole(size):
        return pixels
    box = _box(area)
    if pixels.dtype == np.uint8 and pixels.shape[2] == _RGB_CHANNELS:
        return np.asarray(_image(pixels).resize(size[::-1], method, box))
    planes = [_image(pixels[:, :, channel]).resize(size[::-1], method, box) for channel in range(pixels.shape[2])]
    return np.stack([np.asarray(plane) for plane in planes], axis=2)


def _image(pixels: AnyArray) -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(pixels))


def _nearest(have: int, want: int, span: Span) -> AnyArray:
    """The pixel that Pillow takes for each of the result along one axis."""
    numbers = Image.fromarray(np.arange(have, dtype=np.int32)[None])
    box = _box(Area(Span(0, 1), span))
    return np.asarray(numbers.resize((want, 1), Image.Resampling.NEAREST, box)).reshape(-1)


def _box(area: Area) -> tuple[float, float, float, float]:
    """Left, top, right and bottom, as Pillow wants them."""
    rows, columns = area.rows, area.columns
    return columns.start, rows.start, columns.start + columns.length, rows.start + rows.length
