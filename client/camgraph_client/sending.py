"""What a client sends for an image, and how it reads the answer."""

from __future__ import annotations

import io
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from camgraph.v1 import explanation_pb2 as pb
from camgraph_core.errors import InvalidInputError
from camgraph_core.painter import ImageSource, Painter
from camgraph_core.png import encode_png
from camgraph_core.request import Addressed, Request
from camgraph_core.shown import Shown
from camgraph_core.types import AnyArray, ByteArray

if TYPE_CHECKING:
    from camgraph_core.result import Result
    from camgraph_wire.chunks import Assembled
    from camgraph_wire.results import Photo

_MODES_OF_PNG = {"1", "L", "LA", "P", "RGB", "RGBA", "I;16"}


def encoded(image: ImageSource) -> bytes:
    """The bytes of a file with the image.

    Args:
        image: Encoded bytes, the path of a file, pixels [H, W] or [H, W, C] (which are sent as PNG where they are grey
            or RGB of 8 bits, and as a NumPy file otherwise), or a Pillow image.

    Raises:
        InvalidInputError: The file cannot be read.

    """
    if isinstance(image, bytes):
        return image
    if isinstance(image, np.ndarray):
        return _encoded_pixels(image)
    if isinstance(image, str | Path):
        try:
            return Path(image).read_bytes()
        except OSError as error:
            raise InvalidInputError(f"{image} cannot be read: {error.strerror}.") from error
    return _encoded_by_pillow(image)


def result_of(
    message: pb.ExplainResponse, sent: Addressed, apart: Mapping[tuple[int, int], bytes | bytearray] | None = None
) -> Result:
    """The result of an answer; its photo is read from what was sent, when it is needed."""
    # While the answer was awaited, nobody needed them.
    from camgraph_wire.results import result_from  # noqa: PLC0415 - as said above
    from camgraph_wire.shown import shown_from  # noqa: PLC0415 - as said above

    photo = photo_of(sent, shown_from(message.shown))
    return result_from(message, sent.request, photo=photo, load_painter=load_painter, apart=apart)


def result_of_pieces(pieces: Assembled, sent: Addressed) -> Result:
    """The result of an answer that came in pieces.

    Raises:
        RemoteError: Some are missing.
    """
    return result_of(pieces.finished(), sent, pieces.apart)


def photo_of(sent: Addressed, shown: Shown | None) -> Photo:
    """What reads the image that was sent, or the tensor as it is shown.

    Args:
        sent: What was sent; of a clip one of its frames as the image.
        shown: How bands are shown, as the server says; None of grey and colour.

    """
    from camgraph_wire.results import Photo  # noqa: PLC0415 - as above

    if shown is not None:
        return Photo(partial(_bands_photo, sent, shown), shown, partial(_bands_missing, sent, shown))
    return Photo() if sent.image is None else Photo(partial(_read_photo, sent.image, sent.request))


def _read_photo(image: bytes, request: Request) -> ByteArray:
    return load_painter().read_photo(image, request.window, request.frame)


def _bands_photo(sent: Addressed, shown: Shown) -> ByteArray:
    """What was sent as pictures show it."""
    if sent.image is not None:
        return load_painter().read_bands(sent.image, shown, sent.request.window, sent.request.frame)[0]
    assert sent.tensor is not None
    return shown.picture(sent.tensor)


def _bands_missing(sent: Addressed, shown: Shown) -> AnyArray | None:
    """Where the image that was sent has no data; of a tensor that is nowhere."""
    if sent.image is None:
        return None
    return load_painter().read_bands(sent.image, shown, sent.request.window, sent.request.frame)[1]


def load_painter() -> Painter:
    """What draws; see `camgraph_runtime.painter`."""
    from camgraph_runtime import painter  # noqa: PLC0415 - Pillow, where something is drawn

    return painter.load_painter()


def _encoded_pixels(pixels: AnyArray) -> bytes:
    if pixels.dtype == np.uint8 and (pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] == 3)) and pixels.size:
        return encode_png(pixels)
    buffer = io.BytesIO()
    np.save(buffer, pixels, allow_pickle=False)
    return buffer.getvalue()


def _encoded_by_pillow(image: ImageSource) -> bytes:
    """A file without loss, with the EXIF rotation: PNG where it takes such pixels, else TIFF."""
    pillow = cast("Any", image)
    buffer = io.BytesIO()
    pillow.save(buffer, "PNG" if pillow.mode in _MODES_OF_PNG else "TIFF", exif=pillow.getexif())
    return buffer.getvalue()
