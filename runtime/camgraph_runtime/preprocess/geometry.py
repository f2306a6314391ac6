"""The manifest's geometry steps as Pillow operations, and the way back onto the photo."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import DTypeLike
from PIL import Image

from camgraph.v1 import manifest_pb2 as pb
from camgraph_runtime.errors import InvalidGraphError, InvalidInputError
from camgraph_runtime.preprocess.layout import spatial_axes
from camgraph_runtime.types import AnyArray, ByteArray, FloatArray

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
class Axis:
    """Where one axis of the photo lies in the network's input: position = scale * photo position + offset.

    Positions are continuous: pixel i covers [i, i + 1). ``photo`` and ``network`` are the axis's lengths in
    pixels.
    """

    photo: int
    network: int
    scale: float = 1.0
    offset: float = 0.0

    def resized(self, length: int) -> Axis:
        """After a resize of the whole axis to ``length`` pixels."""
        factor = length / self.network
        return replace(self, network=length, scale=self.scale * factor, offset=self.offset * factor)

    def placed(self, start: int, length: int) -> Axis:
        """After a cut (or, with a negative ``start``, a padding) to ``length`` pixels from ``start``."""
        return replace(self, network=length, offset=self.offset - start)

    def taps(self) -> tuple[AnyArray, AnyArray, FloatArray, AnyArray]:
        """A photo pixel's two network pixels, the weight of the second, and whether it is inside."""
        centres = self.scale * (np.arange(self.photo) + 0.5) + self.offset
        position = np.clip(centres - 0.5, 0, self.network - 1)
        lower = np.floor(position).astype(np.intp)
        upper = np.minimum(lower + 1, self.network - 1)
        return lower, upper, (position - lower).astype(np.float32), (centres >= 0) & (centres < self.network)

    def pixels(self, positions: AnyArray) -> tuple[AnyArray, AnyArray]:
        """For each position on the network's axis the photo's pixel there, and whether the network sees it."""
        found = np.floor((positions - self.offset) / self.scale).astype(np.intp)
        inside = (found >= 0) & (found < self.photo) & (positions >= 0) & (positions < self.network)
        return np.clip(found, 0, self.photo - 1), inside


@dataclass(frozen=True)
class Frame:
    """Where the photo lies in the network's input: one `Axis` a direction."""

    vertical: Axis
    horizontal: Axis

    @classmethod
    def identity(cls, height: int, width: int) -> Frame:
        """The frame of a photo that is the network's input."""
        return cls(Axis(height, height), Axis(width, width))

    @classmethod
    def of_input(cls, tensor: AnyArray, layout: pb.Layout) -> Frame:
        """The frame of an input tensor [1, ...] that comes without a photo."""
        rows, columns = spatial_axes(layout)
        return cls.identity(tensor.shape[rows], tensor.shape[columns])

    @property
    def photo_size(self) -> tuple[int, int]:
        """Height and width of the photo."""
        return self.vertical.photo, self.horizontal.photo

    @property
    def network_size(self) -> tuple[int, int]:
        """Height and width of the network's input."""
        return self.vertical.network, self.horizontal.network

    def nearest(self, mask: ByteArray, down: AnyArray, across: AnyArray) -> ByteArray:
        """A mask of the photo [H, W] at a grid of positions [h] and [w] on the network's input: uint8 [h, w].

        Each cell takes the photo's pixel at its position; cells outside the photo are 0.
        """
        rows, on_rows = self.vertical.pixels(down)
        columns, on_columns = self.horizontal.pixels(across)
        laid: ByteArray = mask[rows[:, None], columns[None, :]]
        return np.where(on_rows[:, None] & on_columns[None, :], laid, 0).astype(np.uint8)

    def to_photo(self, heatmap: FloatArray) -> FloatArray:
        """Heatmap [h_in, w_in] of the network's input, laid back onto the photo: float32 [H, W].

        Bilinear between cells; photo pixels that the network did not see are 0.
        """
        if heatmap.shape != self.network_size:
            raise ValueError(f"the heatmap is {heatmap.shape}, not {self.network_size}")
        top, bottom, down, seen_rows = self.vertical.taps()
        left, right, across, seen_columns = self.horizontal.taps()
        # Columns first: the large array is then built from whole rows, which is several times faster.
        wide = _blend(heatmap[:, left], heatmap[:, right], across[None, :])
        wide[:, ~seen_columns] = 0
        photo = _blend(wide[top], wide[bottom], down[:, None])
        photo[~seen_rows] = 0
        return photo


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


def _blend(first: FloatArray, second: FloatArray, weight: FloatArray) -> FloatArray:
    """first + weight * (second - first): exactly ``first`` where both are equal or the weight is 0."""
    result: FloatArray = second - first
    result *= weight
    result += first
    return result
