"""An image for people: upright RGB pixels of 8 bits, whatever it is."""

from __future__ import annotations

import numpy as np

from camgraph_core.types import AnyArray, ByteArray
from camgraph_core.windows import Window
from camgraph_runtime.preprocess.dicom import Dicom
from camgraph_runtime.preprocess.grade import Grade
from camgraph_runtime.preprocess.opening import Encoded, ImageSource, Opened, open_image
from camgraph_runtime.preprocess.pixels import read_colour
from camgraph_runtime.preprocess.raster import Raster
from camgraph_runtime.preprocess.tones import NO_TONES, Tones
from camgraph_runtime.preprocess.window import check_window, has_sixteen_bits, spread, used_white, usual_range

_LOW_IS_WHITE = (
    "The TIFF says that low values are white: it was read from {} for white to {} for black. Say other values with a "
    "window (--window LOW,HIGH)."
)
_NOT_TURNED = (
    "The TIFF says that low values are white, but its numbers went in as they are stored: their largest is not known. "
    "Turn them round yourself if the network was trained so."
)


def decode(
    source: ImageSource, *, max_pixels: int, window: Window | None = None, frame: int | None = None
) -> ByteArray:
    """Decodes an image for people: upright, uint8 [H, W, 3], RGB.

    It is what an `Explainer` for grey or colour photos shows. Grey and palette become RGB, transparency is laid on
    white, CMYK is converted. 16 bits are scaled by those that are used, and other values are spread as
    `camgraph_runtime.preprocess.window.spread` says. Of an array of other channels the first three are taken, or the
    first.

    Args:
        source: Encoded bytes (of a picture, or of a NumPy file), the path of a file, an array [H, W] or [H, W, C], or
            a Pillow image.
        max_pixels: Largest number of pixels, checked on the header before anything is decoded.
        window: The values of the image that become 0 and 255.
        frame: Number of the frame of a DICOM file.

    Raises:
        InvalidInputError: Not an image, a damaged one, or one with too many pixels.
        UsageError: The window cannot be used.

    """
    check_window(window)
    opened = open_image(source, max_pixels=max_pixels, frame=frame)
    pixels = _shown(read_colour(opened))
    scale = scale_of(opened, window, pixels)
    return for_people(spread(pixels, scale).values, white_of(pixels, scale))


def scale_of(opened: Opened, window: Window | None, pixels: AnyArray) -> Window | Grade | None:
    """What makes the values of an image 0..255: the user's window, or the file's own grey scale; None for neither.

    Args:
        opened: The image.
        window: The user's, in values as they are stored.
        pixels: Its values, as they were read.

    """
    if isinstance(opened, Dicom):
        return opened.scale(window)
    tones = tones_in(opened)
    if tones.is_turned and window is not None:
        low, high = window
        return tones.read(high), tones.read(low)
    grade = _grade_of(tones, pixels)
    return window if grade is None else grade.within(window)


def in_order(opened: Opened, pixels: AnyArray) -> AnyArray:
    """Values of an image that grow from black to white: of a file in which low ones are white, turned round.

    Of a TIFF these are whole numbers of which the largest is known; others stay as they are, see `unturned`.
    """
    if isinstance(opened, Dicom):
        return pixels if opened.grade is None else opened.grade.mirrored(pixels)
    black = tones_in(opened).black
    return pixels if black is None else black - pixels


def unturned(opened: Opened) -> str:
    """A remark on a TIFF whose low values are white, and that are not turned round; empty for any other image."""
    tones = tones_in(opened)
    return _NOT_TURNED if tones.low_is_white and not tones.is_turned and tones.black is None else ""


def tones_in(opened: Opened) -> Tones:
    """What the values of an image mean, as far as a TIFF says it."""
    return opened.tones if isinstance(opened, Encoded | Raster) else NO_TONES


def _grade_of(tones: Tones, pixels: AnyArray) -> Grade | None:
    """The grey scale of a TIFF in which low values are white, or that has 9 to 15 bits; None for any other."""
    if tones.low_is_white and not tones.is_turned:
        low, high = (0, tones.black) if tones.black is not None else usual_range(pixels)[:2]
        return Grade(low, max(high, low + 1e-6), inverted=True, remark=_LOW_IS_WHITE.format(f"{low:g}", f"{high:g}"))
    if tones.bits is not None and 8 < tones.bits < 16:
        return Grade(0, 2**tones.bits - 1)
    return None


def white_of(pixels: AnyArray, window: Window | Grade | None) -> float:
    """The value that people see as white, on the scale of 0..255 that pixels are spread over.

    It is below 255 for 16 bits of which the upper ones are not used, which would look black.
    """
    is_deep = window is None and has_sixteen_bits(pixels)
    return used_white(pixels) * 255 / 65535 if is_deep else 255.0


def for_people(values: AnyArray, white: float) -> ByteArray:
    """Values on the scale of 0..255 as a picture for people, see `to_show`, in which ``white`` is 255."""
    return to_show(values if white == 255 else values * np.float32(255 / white))


def to_show(pixels: AnyArray) -> ByteArray:
    """Pixels as a picture for people, uint8 [H, W, 3].

    Of more than three channels the first three are shown, of two the first. Values outside 0..255 are spread from the
    smallest to the largest.
    """
    shown = _shown(pixels)
    if shown.dtype != np.uint8:
        if shown.min() < 0 or shown.max() > 255 or shown.max() <= 1:
            shown = spread(shown, (shown.min().item(), max(shown.max().item(), shown.min().item() + 1e-6))).values
        shown = np.rint(shown).astype(np.uint8)
    return shown if shown.shape[2] == 3 else np.repeat(shown, 3, axis=2)


def _shown(pixels: AnyArray) -> AnyArray:
    return pixels[:, :, : 3 if pixels.shape[2] >= 3 else 1]
