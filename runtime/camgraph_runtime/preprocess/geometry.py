"""The manifest's geometry steps as Pillow operations."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import DTypeLike
from PIL import Image

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.errors import InvalidGraphError, InvalidInputError
from camgraph_core.frame import Frame
from camgraph_core.types import AnyArray

_RGB_CHANNELS = 3
_FILTERS = {
    pb.FILTER_UNSPECIFIED: Image.Resampling.BILINEAR,
    pb.FILTER_NEAREST: Image.Resampling.NEAREST,
    pb.FILTER_BILINEAR: Image.Resampling.BILINEAR,
    pb.FILTER_BICUBIC: Image.Resampling.BICUBIC,
    pb.FILTER_LANCZOS: Image.Resampling.LANCZOS,
    pb.FILTER_BOX: Image.Resampling.BOX,
}


@dataclass(frozen=True)
class Canvas:
    """A picture as Pillow can resize it: one RGB image, or one image for each channel, of bytes or floats."""

    planes: tuple[Image.Image, ...]

    @classmethod
    def of(cls, pixels: AnyArray) -> Self:
        """The canvas of pixels [H, W, C], uint8 or float32."""
        if pixels.dtype == np.uint8 and pixels.shape[2] == _RGB_CHANNELS:
            return cls((Image.fromarray(np.ascontiguousarray(pixels)),))
        channels = np.moveaxis(pixels, 2, 0)
        return cls(tuple(Image.fromarray(np.ascontiguousarray(channel)) for channel in channels))

    @property
    def height(self) -> int:
        """Height in pixels."""
        return self.planes[0].height

    @property
    def width(self) -> int:
        """Width in pixels."""
        return self.planes[0].width

    @property
    def pixels(self) -> AnyArray:
        """The picture as an array [H, W, C]."""
        arrays = [np.asarray(plane) for plane in self.planes]
        return arrays[0] if arrays[0].ndim == 3 else np.stack(arrays, axis=2)

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> AnyArray:
        return np.array(self.pixels, dtype, copy=copy)

    def resized(self, height: int, width: int, filter_: pb.Filter) -> Canvas:
        """After a resize; as it is where the size stays."""
        if (self.height, self.width) == (height, width):
            return self
        return Canvas(tuple(plane.resize((width, height), _FILTERS[filter_]) for plane in self.planes))

    def placed(self, top: int, left: int, height: int, width: int, fill: int) -> Canvas:
        """After a cut, or a padding with ``fill`` where it goes beyond the picture."""
        return Canvas(tuple(_placed(plane, top, left, height, width, fill) for plane in self.planes))


def _placed(plane: Image.Image, top: int, left: int, height: int, width: int, fill: int) -> Image.Image:
    canvas = Image.new(plane.mode, (width, height), (fill,) * len(plane.getbands()) if plane.mode == "RGB" else fill)
    canvas.paste(plane, (-left, -top))
    return canvas


def apply_steps(photo: AnyArray, steps: Iterable[pb.GeometryStep], *, max_pixels: int) -> tuple[Canvas, Frame]:
    """Runs the steps on an upright photo [H, W, C], uint8 or float32.

    Args:
        photo: The photo.
        steps: The manifest's steps, in order.
        max_pixels: Largest picture in between: a long thin photo grows without bound when its shorter side is
            resized.

    Returns:
        The picture that the network sees, and where the photo lies in it.

    Raises:
        InvalidInputError: A step would need more than ``max_pixels``.
        InvalidGraphError: A step is unknown or asks for no pixels.

    """
    height, width = photo.shape[:2]
    image, frame = Canvas.of(photo), Frame.identity(height, width)
    for step in steps:
        image, frame = _Stage(image, frame, max_pixels).apply(step)
    return image, frame


@dataclass(frozen=True)
class _Stage:
    image: Canvas
    frame: Frame
    max_pixels: int

    def apply(self, step: pb.GeometryStep) -> tuple[Canvas, Frame]:
        kind = step.WhichOneof("step")
        height, width = self.image.height, self.image.width
        match kind:
            case "resize_shorter_side":
                size = step.resize_shorter_side.size
                shorter = min(width, height)
                return self._resize(
                    round(size * height / shorter),
                    round(size * width / shorter),
                    step.resize_shorter_side.filter,
                )
            case "resize_to":
                return self._resize(step.resize_to.height, step.resize_to.width, step.resize_to.filter)
            case "center_crop":
                return self._crop(step.center_crop.height, step.center_crop.width)
            case "center_square":
                side = min(width, height)
                return self._place((height - side) // 2, (width - side) // 2, side, side)
            case "letterbox":
                return self._letterbox(step.letterbox)
        raise InvalidGraphError(
            "The graph's manifest has a geometry step that this version does not know. Install a newer camgraph."
        )

    def _letterbox(self, box: pb.Letterbox) -> tuple[Canvas, Frame]:
        height, width = self.image.height, self.image.width
        factor = min(box.height / height, box.width / width)
        image, frame = self._resize(
            min(box.height, max(1, round(height * factor))),
            min(box.width, max(1, round(width * factor))),
            box.filter,
        )
        top, left = -((box.height - image.height) // 2), -((box.width - image.width) // 2)
        return replace(self, image=image, frame=frame)._place(top, left, box.height, box.width, box.fill)

    def _crop(self, height: int, width: int) -> tuple[Canvas, Frame]:
        return self._place(_start(self.image.height, height), _start(self.image.width, width), height, width)

    def _resize(self, height: int, width: int, filter_: pb.Filter) -> tuple[Canvas, Frame]:
        self._check(height, width)
        frame = Frame(self.frame.vertical.resized(height), self.frame.horizontal.resized(width))
        return self.image.resized(height, width, filter_), frame

    def _place(self, top: int, left: int, height: int, width: int, fill: int = 0) -> tuple[Canvas, Frame]:
        self._check(height, width)
        frame = Frame(self.frame.vertical.placed(top, height), self.frame.horizontal.placed(left, width))
        return self.image.placed(top, left, height, width, fill), frame

    def _check(self, height: int, width: int) -> None:
        if height < 1 or width < 1:
            raise InvalidGraphError(f"A geometry step of the graph's manifest asks for {width} x {height} pixels.")
        if height * width > self.max_pixels:
            raise InvalidInputError(
                f"The photo is too long and thin: resized for this model, it would have {width} x {height} "
                f"pixels, and the limit is {self.max_pixels}. Crop it."
            )


def _start(have: int, want: int) -> int:
    """First pixel of a centred cut; negative where pixels must be added. Halves as in torchvision."""
    return round((have - want) / 2) if have >= want else -((want - have) // 2)
