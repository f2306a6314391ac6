"""From a photo to the network's input tensor, exactly as the manifest says, and the way back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.errors import InvalidInputError, UnsupportedError
from camgraph_core.frame import Frame, Size
from camgraph_core.request import Request
from camgraph_core.shown import Shown
from camgraph_core.types import AnyArray, ByteArray
from camgraph_core.windows import Window
from camgraph_runtime.preprocess.decode import decode
from camgraph_runtime.preprocess.geometry import Geometry, plan_geometry
from camgraph_runtime.preprocess.jpeg import is_plain_jpeg
from camgraph_runtime.preprocess.layout import spatial_axes
from camgraph_runtime.preprocess.mask import decode_mask
from camgraph_runtime.preprocess.opening import Encoded, ImageSource, open_image
from camgraph_runtime.preprocess.picture import Original, Picture, read_picture
from camgraph_runtime.preprocess.scaling import area_of, fraction_of
from camgraph_runtime.preprocess.tensor import check_spec, to_tensor

__all__ = ["Frame", "ImageSource", "Picture", "PreparedPhoto", "Preprocessor", "Window", "decode", "decode_mask"]


@dataclass(frozen=True)
class PreparedPhoto:
    """A photo made ready for the network.

    Attributes:
        tensor: The network's input, [1, ...].
        network_image: The picture that the tensor was made of, uint8 [h_in, w_in, 3], RGB.
        frame: Where the photo lies in it.
        photo: The upright photo, uint8 [H, W, 3], RGB; where it was decoded at a fraction of its size, that.
        remarks: What the user should know of the photo's values, one sentence each.
        original: What ``photo`` is a fraction of; None if it is the whole photo.
        shown: How an image of bands is shown; None of grey and colour.
        missing: Where the photo has no data, bool [H, W]; None if that is nowhere.

    """

    tensor: AnyArray
    network_image: ByteArray
    frame: Frame
    photo: ByteArray
    remarks: tuple[str, ...] = ()
    original: Original | None = None
    shown: Shown | None = None
    missing: AnyArray | None = None


class Preprocessor:
    """Turns photos into input tensors by the manifest's input spec.

    Args:
        spec: The input spec.
        max_pixels: Largest picture on the way.

    Raises:
        UnsupportedError: The spec does not state layout or channel order.
        InvalidGraphError: Its numbers cannot be used.

    """

    def __init__(self, spec: pb.InputSpec, *, max_pixels: int = 50_000_000) -> None:
        if spec.layout == pb.LAYOUT_UNSPECIFIED or spec.channel_order == pb.CHANNEL_ORDER_UNSPECIFIED:
            raise UnsupportedError(
                "The graph does not say how a photo becomes its input (layout or channel order is missing). "
                "Give a ready tensor, or export the model again with the input stated."
            )
        check_spec(spec)
        self._spec = spec
        self._max_pixels = max_pixels

    def read(
        self, image: ImageSource, request: Request | None = None, smallest: Callable[[Size], Size] | None = None
    ) -> Picture:
        """Decodes an image to the values that the network's channels take.

        Nothing is decoded of a picture whose size the spec cannot bring to the network's.

        Args:
            image: The image.
            request: Its window, its value for no data and its style say how the image is read and shown.
            smallest: Says for the photo's size at which size it is needed beside the network; a JPEG is then decoded at
                a fraction of its size, if that is enough. By default every photo is decoded as large as it is.

        Raises:
            InvalidInputError: The image cannot be read or used, or has another number of channels.
            UsageError: The window cannot be used, or there is no such band.

        """
        frame = request.frame if request is not None else None
        opened = open_image(image, max_pixels=self._max_pixels, frame=frame)
        if isinstance(opened, Encoded):
            self._check_sizes(opened.possible_sizes)
            if smallest is not None and opened.data is not None and is_plain_jpeg(opened.image):
                return self._read_fraction(opened, opened.data, request, smallest)
        return read_picture(opened, self._spec, request)

    def prepare(self, picture: Picture | ByteArray) -> PreparedPhoto:
        """Input tensor, picture and frame of an upright picture, or of an RGB photo uint8 [H, W, 3].

        Raises:
            InvalidInputError: The photo has a size that the spec cannot bring to the network's.

        """
        if isinstance(picture, np.ndarray):
            picture = Picture(picture)
        geometry = self._geometry(picture.size)
        pixels = geometry.apply(picture.pixels, picture.original.area if picture.original else None)
        tensor = to_tensor(pixels, self._spec)
        network_image = replace(picture, pixels=pixels, missing=None).photo
        return PreparedPhoto(
            tensor,
            network_image,
            geometry.frame,
            picture.photo,
            picture.remarks,
            original=picture.original,
            shown=picture.shown,
            missing=picture.missing,
        )

    def _read_fraction(
        self, opened: Encoded, data: bytes, request: Request | None, smallest: Callable[[Size], Size]
    ) -> Picture:
        """A JPEG, at a fraction of its size where that is enough."""
        [size] = opened.possible_sizes
        fraction = fraction_of(size, self._geometry(size).needed, smallest(size))
        picture = read_picture(opened, self._spec, request, fraction)
        if picture.size == size:
            return picture
        again = partial(_read_photo, data, self._spec, request, self._max_pixels)
        return replace(picture, original=Original(size, area_of(size, opened.orientation, fraction), again))

    def _geometry(self, size: Size) -> Geometry:
        """What the spec does to photos of a size."""
        geometry = plan_geometry(size, self._spec.steps, max_pixels=self._max_pixels)
        self._check_size(*geometry.frame.network_size)
        return geometry

    def _check_sizes(self, sizes: Sequence[Size]) -> None:
        """Checks that the photo, which has one of these sizes, can be brought to the network's size."""
        *others, last = sizes
        for size in others:
            with suppress(InvalidInputError):  # another size may go
                self._geometry(size)
                return
        self._geometry(last)

    def _check_size(self, height: int, width: int) -> None:
        shape = self._spec.tensor.shape
        want = [shape[axis] for axis in spatial_axes(self._spec.layout) if axis < len(shape)]
        if any(axis.isdecimal() and int(axis) != have for axis, have in zip(want, (height, width), strict=False)):
            raise InvalidInputError(
                f"The photo is {width} x {height} pixels after the graph's geometry steps, "
                f"but the network wants {want[1]} x {want[0]}. "
                "Resize the photo, or export the model again with a resize rule."
            )


def _read_photo(data: bytes, spec: pb.InputSpec, request: Request | None, max_pixels: int) -> ByteArray:
    return read_picture(open_image(data, max_pixels=max_pixels), spec, request).photo
