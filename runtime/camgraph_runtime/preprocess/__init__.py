"""From a photo to the network's input tensor, exactly as the manifest says, and the way back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from camgraph.v1 import manifest_pb2 as pb
from camgraph_runtime.errors import InvalidInputError, UnsupportedError
from camgraph_runtime.preprocess.decode import ImageSource, decode, decode_mask
from camgraph_runtime.preprocess.geometry import Frame, apply_steps
from camgraph_runtime.preprocess.tensor import check_spec, to_tensor
from camgraph_runtime.types import AnyArray, ByteArray

__all__ = ["Frame", "ImageSource", "Prepared", "Preprocessor", "decode", "decode_mask"]


@dataclass(frozen=True)
class Prepared:
    """A photo made ready for the network.

    Attributes:
        tensor: The network's input, [1, ...].
        network_image: The picture behind the tensor, uint8 [h_in, w_in, 3], RGB.
        frame: Where the photo lies in it.
        photo: The upright photo, uint8 [H, W, 3], RGB.

    """

    tensor: AnyArray
    network_image: ByteArray
    frame: Frame
    photo: ByteArray


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

    def prepare(self, photo: ByteArray) -> Prepared:
        """Input tensor, picture and frame of an upright RGB photo uint8 [H, W, 3].

        Raises:
            InvalidInputError: The photo has a size that the spec cannot bring to the network's.

        """
        image, frame = apply_steps(photo, self._spec.steps, max_pixels=self._max_pixels)
        self._check_size(image.height, image.width)
        return Prepared(to_tensor(image, self._spec), np.asarray(image), frame, photo)

    def _check_size(self, height: int, width: int) -> None:
        shape = self._spec.tensor.shape
        want = shape[2:4] if self._spec.layout == pb.LAYOUT_NCHW else shape[1:3]
        if any(axis.isdecimal() and int(axis) != have for axis, have in zip(want, (height, width), strict=False)):
            raise InvalidInputError(
                f"The photo is {width} x {height} pixels after the graph's geometry steps, "
                f"but the network wants {want[1]} x {want[0]}. "
                "Resize the photo, or export the model again with a resize rule."
            )
