"""A picture as the network will see it, before its geometry: values, and what the user should know of them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.errors import InvalidInputError
from camgraph_core.frame import Size
from camgraph_core.request import Request
from camgraph_core.scaled import Area
from camgraph_core.shown import Shown
from camgraph_core.types import AnyArray, ByteArray
from camgraph_core.windows import Window
from camgraph_runtime.preprocess.decode import for_people, in_order, scale_of, tones_in, unturned, white_of
from camgraph_runtime.preprocess.grade import Grade
from camgraph_runtime.preprocess.layout import channel_count
from camgraph_runtime.preprocess.nodata import fill
from camgraph_runtime.preprocess.opening import Encoded, Opened, as_stored
from camgraph_runtime.preprocess.pixels import read_colour, read_stored
from camgraph_runtime.preprocess.raster import Raster
from camgraph_runtime.preprocess.shown import choose_shown, refuse_bands, remark_on
from camgraph_runtime.preprocess.window import check_window, spread

_GUESSED_DIVISOR = 255
_FIRST_OF_SEVERAL = (
    "The file has several pictures, and the first was read. Save another one by itself to have it explained."
)
_CUT_OFF = "The file was cut off: its first picture is whole and was read, what follows it is missing."


@dataclass(frozen=True)
class Original:
    """What a picture is a fraction of.

    Attributes:
        size: Height and width, upright.
        area: Where it lies in the picture's pixels.
        read_photo: Decodes all of it for people, uint8 [H, W, 3], RGB.

    """

    size: Size
    area: Area
    read_photo: Callable[[], ByteArray]


@dataclass(frozen=True)
class Picture:
    """An upright picture.

    Attributes:
        pixels: uint8 [H, W, C] or float32 [H, W, C]. Of grey and colour C is 1 or 3, and the scale 0..255; of stored
            channels it is the image's own.
        remarks: What the user should know, one sentence each.
        white: The value that people see as white, see `white_of`.
        original: What the pixels are a fraction of; None if they are the picture's own.
        shown: How stored channels are shown; None of grey and colour.
        missing: Where no stored channel has data, bool [H, W]; None if that is nowhere.

    """

    pixels: AnyArray
    remarks: tuple[str, ...] = ()
    white: float = 255.0
    original: Original | None = None
    shown: Shown | None = None
    missing: AnyArray | None = None

    @property
    def size(self) -> Size:
        """Height and width of the picture."""
        return (self.pixels.shape[0], self.pixels.shape[1]) if self.original is None else self.original.size

    @property
    def photo(self) -> ByteArray:
        """The picture for people: of stored channels those that are shown, else see `for_people`."""
        if self.shown is None:
            return for_people(self.pixels, self.white)
        drawn = self.shown.picture(self.pixels)
        if self.missing is not None and self.missing.shape == drawn.shape[:2]:
            drawn[self.missing] = 0
        return drawn


def read_picture(opened: Opened, spec: pb.InputSpec, request: Request | None = None, fraction: int = 1) -> Picture:
    """Reads an image for a network's input.

    Args:
        opened: The image.
        spec: The input: grey, colour, or the stored channels of the image.
        request: Its window, its value for no data and its style say how the image is read and shown.
        fraction: What the sides are divided by when a JPEG is decoded: 1, 2, 4 or 8.

    Raises:
        InvalidInputError: The image cannot be read, or has another number of channels than the input.
        UsageError: The window cannot be used, there is no such band, or the network takes none.

    """
    request = request or Request()
    check_window(request.window)
    if spec.channel_order == pb.CHANNEL_ORDER_STORED:
        opened = as_stored(opened, max_pixels=sys.maxsize)  # its size was checked when it was opened
        nodata = opened.nodata if request.nodata is None else request.nodata
        nodata = None if nodata is None else tones_in(opened).read(nodata)
        picture = _stored(opened, read_stored(opened, fraction), spec, request, nodata)
    else:
        refuse_bands(request)
        pixels = read_colour(opened, fraction)
        picture = _colour(pixels, scale_of(opened, request.window, pixels))
    return replace(picture, remarks=(*picture.remarks, *_remarks_on_what_follows(opened)))


def _remarks_on_what_follows(opened: Opened) -> list[str]:
    if not isinstance(opened, Encoded | Raster):
        return []
    found = opened.following
    return [_FIRST_OF_SEVERAL] * found.has_more + [_CUT_OFF] * found.is_cut


def _colour(pixels: AnyArray, scale: Window | Grade | None) -> Picture:
    channels = pixels.shape[2]
    if channels not in (1, 3):
        raise InvalidInputError(
            f"The image has {channels} channels, but the network takes a grey or colour photo. "
            "An array is [H, W] or [H, W, 3]."
        )
    found = spread(pixels, scale)
    values = found.values
    if values.dtype == np.uint8 and channels == 1:
        values = np.repeat(values, 3, axis=2)
    return Picture(values, (found.remark,) if found.remark else (), white_of(pixels, scale))


def _stored(opened: Opened, pixels: AnyArray, spec: pb.InputSpec, request: Request, nodata: float | None) -> Picture:
    channels, wanted = pixels.shape[2], channel_count(spec)
    if wanted and channels != wanted:
        raise InvalidInputError(
            f"The image has {channels} channel{'' if channels == 1 else 's'}, but the network takes {wanted}. "
            f"Send a picture that has them, or a NumPy file with an array [H, W, {wanted}]."
        )
    filled = fill(pixels, spec, nodata)
    values, remark = filled.pixels, ""
    if request.window is None:
        values, remark = in_order(opened, values), unturned(opened)
    else:
        spreading = spread(values, scale_of(opened, request.window, values))
        values, remark = spreading.values, spreading.remark
    shown = choose_shown(values, spec, request.style, nodata, missing=filled.missing)
    if values.dtype != np.uint8:
        values = values.astype(np.float32, copy=False)
    remarks = [
        remark_on(shown, spec, channels),
        filled.remark,
        remark,
        _remark_on_scale(request.window, spec),
        *_remarks(values, spec),
    ]
    return Picture(values, tuple(filter(None, remarks)), shown=shown, missing=filled.missing)


def _remark_on_scale(window: Window | None, spec: pb.InputSpec) -> str:
    if window is None or not spec.value_high or 1 < max(spec.value_high) <= 255:
        return ""
    return (
        f"The window spread the values over 0..255, but the graph was exported for {min(spec.value_low):g}.."
        f"{max(spec.value_high):g}. Leave the window out."
    )


def _remarks(values: AnyArray, spec: pb.InputSpec) -> list[str]:
    remarks = []
    low, high = values.min().item(), values.max().item()
    is_foreign = high > 255 or (values.dtype != np.uint8 and high <= 1)
    if spec.divisor == _GUESSED_DIVISOR and not spec.stated and is_foreign:
        remarks.append(
            f"The values of the image go from {low:g} to {high:g}, but the graph was exported for 0..255, as a guess. "
            "Export it again with --divisor, --mean and --std, or give a window."
        )
    if spec.value_low:
        lowest, highest = min(spec.value_low), max(spec.value_high)
        width = highest - lowest
        if low < lowest - width or high > highest + width or high - lowest < width / 100:
            remarks.append(
                f"The values of the image go from {low:g} to {high:g}, but the graph was exported for {lowest:g}.."
                f"{highest:g}. Scale the image as those of training were."
            )
    return remarks
