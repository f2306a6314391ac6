"""How far a JPEG may be decoded at a fraction of its size.

The decoder can leave out what is finer than 2, 4 or 8 pixels, which is cheaper than to decode it and to average it away
afterwards. The values are close to those averages and not the same, so it is done only where somebody asks for it.
"""

from __future__ import annotations

from camgraph_core.frame import Size, fitted
from camgraph_core.outputs import OUTPUTS
from camgraph_core.request import Request
from camgraph_core.scaled import Area, Span
from camgraph_runtime.preprocess.camera import mirrored_axes

_FRACTIONS = (8, 4, 2)


def smallest_photo(request: Request, photo: Size) -> Size:
    """The smallest size at which a photo has to be decoded for the pictures that a request asks for.

    Args:
        request: What is asked.
        photo: Height and width of the photo.

    Returns:
        Height and width; (0, 0) where no picture is drawn at once. One that is drawn later can decode the photo again.

    """
    names, max_side = request.outputs, request.style.max_side
    if any(OUTPUTS[name].needs_photo for name in names) or (not names and max_side is not None):
        return fitted(photo, max_side)
    return 0, 0


def fraction_of(photo: Size, *needed: Size) -> int:
    """The largest divisor (8, 4, 2 or 1) by which both sides of a photo stay at least as long as any size needs."""
    height, width = (max(sides) for sides in zip(*needed, strict=True))
    return next((number for number in _FRACTIONS if number * height <= photo[0] and number * width <= photo[1]), 1)


def area_of(photo: Size, orientation: int, fraction: int) -> Area:
    """Where an upright photo of a size lies in the pixels of its decoding at a fraction.

    The decoder rounds up: what the last pixel of an axis has beyond the photo comes first where the axis is mirrored.
    """
    spans = []
    for side, is_mirrored in zip(photo, mirrored_axes(orientation), strict=True):
        pixels, length = -(-side // fraction), side / fraction
        spans.append(Span(pixels - length if is_mirrored else 0, length))
    return Area(*spans)
