"""What Pillow makes of TIFF files: which it reads as they are stored, which it changes, and which it gets wrong."""

from __future__ import annotations

from typing import Any

from PIL import Image

from camgraph_core.frame import Size
from camgraph_runtime.preprocess.containers.tiff import tag_values
from camgraph_runtime.preprocess.deep import stored_form
from camgraph_runtime.preprocess.tones import NO_TONES, Tones

_NODATA = 42113  # of GDAL, as text
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _SAMPLES = 256, 257, 258, 259, 262, 277
_PLANES, _EXTRA, _NUMBERS = 284, 338, 339
_SEPARATE, _UNSIGNED, _SIGNED, _LOW_IS_WHITE, _TIMES_ALPHA = 2, 1, 2, 0, 1
_MOST_SAMPLES = 4
_NOT_BUILT_IN = (34661, 50001)  # JBIG and WebP, of which its TIFF decoder knows the names alone
_CHANGED = ("RGBa", "CMYK;16", "L;2", "L;4")  # its words for what is stored


def is_beyond_pillow(data: bytes) -> bool:
    """Whether a TIFF is of a kind that Pillow reads wrongly, or refuses with words of its own on stderr.

    It takes signed values of 8 bits for unsigned ones, unsigned ones of 32 bits for signed ones, and planes of 16 bits
    for one plane. It cannot join planes by whose last one the others are multiplied.
    """
    tags = tag_values(data, (_SAMPLES, _BITS, _PLANES, _NUMBERS, _COMPRESSION, _EXTRA))
    bits = _of(tags, _BITS)
    is_planar = _of(tags, _PLANES) == _SEPARATE and _of(tags, _SAMPLES) > 1
    return (
        _of(tags, _SAMPLES) > _MOST_SAMPLES
        or (bits == 8 and _of(tags, _NUMBERS) == _SIGNED)
        or (bits == 32 and _of(tags, _NUMBERS) in (0, _UNSIGNED))
        or (is_planar and (bits > 8 or _of(tags, _EXTRA) == _TIMES_ALPHA))
        or _of(tags, _COMPRESSION) in _NOT_BUILT_IN
    )


def lacks_channels(image: Image.Image) -> bool:
    """Whether Pillow leaves out channels of a TIFF that it has opened."""
    return image.format == "TIFF" and len(image.getbands()) < (tag(image, _SAMPLES) or 1)


def changes_values(image: Image.Image) -> bool:
    """Whether Pillow gives other values of a TIFF than those that are stored, apart from turning them round.

    It divides by alpha, drops the lower half of 16 bits of inks, and spreads 2 and 4 bits over 0..255.

    Args:
        image: A picture that was opened and not decoded yet.

    """
    tiles: list[Any] = getattr(image, "tile", None) or []
    return image.format == "TIFF" and any(stored_form(tile).startswith(_CHANGED) for tile in tiles[:1])


def tones_of(image: Image.Image) -> Tones:
    """What the values mean that Pillow gives of a picture; of a TIFF of 8 bits or less it turns low ones to black."""
    if image.format != "TIFF":
        return NO_TONES
    low_is_white = tag(image, _PHOTOMETRIC) == _LOW_IS_WHITE
    if image.mode.startswith("I;16"):
        return Tones(int((tag(image, _BITS) or (16,))[0]), low_is_white=low_is_white)
    is_small = image.mode in ("1", "L")
    return Tones(8 if is_small else None, low_is_white=low_is_white, is_turned=low_is_white and is_small)


def stored_size(image: Image.Image) -> Size:
    """Height and width of a TIFF as stored; some versions of Pillow turn it when they open it, others later."""
    return tag(image, _HEIGHT), tag(image, _WIDTH)


def nodata_text(image: Image.Image) -> object:
    """GDAL's value for no data; None without one."""
    return tag(image, _NODATA)


def tag(image: Image.Image, number: int) -> Any:
    """A tag of a TIFF; None where there is none."""
    return getattr(image, "tag_v2", {}).get(number)


def _of(tags: dict[int, Any], number: int) -> int:
    return int(tags[number].max(initial=0)) if number in tags else 0
