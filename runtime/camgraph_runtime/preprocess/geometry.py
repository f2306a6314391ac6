"""The manifest's geometry steps: worked out for a size first, then done to the pixels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.errors import InvalidGraphError, InvalidInputError
from camgraph_core.frame import Frame, Size
from camgraph_core.scaled import Area
from camgraph_core.types import AnyArray
from camgraph_runtime.preprocess.resample import Part, resize_part

# What a decoder leaves out must be finer than what the resize leaves out: with a factor of 1 two of eight photos got
# another best class, with 2 none (`benchmarks/scaled_decoding.py`).
_SPARE = 2


@dataclass(frozen=True)
class _Resize:
    """A resize of the whole picture."""

    size: Size
    filter_: pb.Filter


@dataclass(frozen=True)
class _Place:
    """A cut to a size from ``top`` and ``left``, or a padding with ``fill`` where it goes beyond the picture."""

    top: int
    left: int
    size: Size
    fill: int = 0


_Action: TypeAlias = _Resize | _Place


@dataclass(frozen=True)
class Geometry:
    """What the steps do to photos of one size.

    Attributes:
        frame: Where the photo lies in the network's input, whose size it says too.
        actions: What is done to the pixels, in order.

    """

    frame: Frame
    actions: tuple[_Action, ...]

    @property
    def needed(self) -> Size:
        """The smallest size of the photo's pixels that a first resize should start from."""
        first = self.actions[0] if self.actions else None
        if not isinstance(first, _Resize):
            return self.frame.photo_size
        return _SPARE * first.size[0], _SPARE * first.size[1]

    def apply(self, photo: AnyArray, area: Area | None = None) -> AnyArray:
        """The picture that the network sees, [h, w, C].

        Args:
            photo: The upright photo, uint8 or float32 [H, W, C].
            area: Where the photo lies in these pixels, if they are a fraction of it; the first action is a resize then.

        """
        pixels, rest = photo, self.actions
        while rest:
            action, *others = rest
            following = others[0] if others else None
            if isinstance(action, _Place):
                pixels = _place(pixels, action)
            elif isinstance(following, _Place):  # only what is placed is worked out
                pixels = _place_resized(pixels, action, following, area)
                others = others[1:]
            else:
                pixels = resize_part(pixels, action.size, action.filter_, Part.whole(action.size), area)
            rest, area = tuple(others), None
        return pixels


def plan_geometry(size: Size, steps: Iterable[pb.GeometryStep], *, max_pixels: int) -> Geometry:
    """Works out what the steps do to an upright photo of a size.

    Args:
        size: Height and width of the photo.
        steps: The manifest's steps, in order.
        max_pixels: Largest picture in between: a long thin photo grows without bound when its shorter side is
            resized.

    Raises:
        InvalidInputError: A step would need more than ``max_pixels``.
        InvalidGraphError: A step is unknown or asks for no pixels.

    """
    frame = Frame.identity(*size)
    actions: list[_Action] = []
    for step in steps:
        for action in _actions_of(step, frame.network_size):
            _check(action.size, max_pixels)
            actions.append(action)
            frame = _after(frame, action)
    return Geometry(frame, tuple(actions))


def _actions_of(step: pb.GeometryStep, size: Size) -> Sequence[_Action]:
    height, width = size
    match step.WhichOneof("step"):
        case "resize_shorter_side":
            shorter = step.resize_shorter_side.size
            scaled = round(shorter * height / min(size)), round(shorter * width / min(size))
            return [_Resize(scaled, step.resize_shorter_side.filter)]
        case "resize_to":
            return [_Resize((step.resize_to.height, step.resize_to.width), step.resize_to.filter)]
        case "center_crop":
            crop = step.center_crop
            return [_Place(_start(height, crop.height), _start(width, crop.width), (crop.height, crop.width))]
        case "center_square":
            side = min(size)
            return [_Place((height - side) // 2, (width - side) // 2, (side, side))]
        case "letterbox":
            return _letterbox(step.letterbox, size)
    raise InvalidGraphError(
        "The graph's manifest has a geometry step that this version does not know. Install a newer camgraph."
    )


def _letterbox(box: pb.Letterbox, size: Size) -> Sequence[_Action]:
    height, width = size
    factor = min(box.height / height, box.width / width)
    fitted = min(box.height, max(1, round(height * factor))), min(box.width, max(1, round(width * factor)))
    top, left = -((box.height - fitted[0]) // 2), -((box.width - fitted[1]) // 2)
    return [_Resize(fitted, box.filter), _Place(top, left, (box.height, box.width), box.fill)]


def _start(have: int, want: int) -> int:
    """First pixel of a centred cut; negative where pixels must be added. Halves as in torchvision."""
    return round((have - want) / 2) if have >= want else -((want - have) // 2)


def _check(size: Size, max_pixels: int) -> None:
    height, width = size
    if height < 1 or width < 1:
        raise InvalidGraphError(f"A geometry step of the graph's manifest asks for {width} x {height} pixels.")
    if height * width > max_pixels:
        raise InvalidInputError(
            f"The photo is too long and thin: resized for this model, it would have {width} x {height} "
            f"pixels, and the limit is {max_pixels}. Crop it."
        )


def _after(frame: Frame, action: _Action) -> Frame:
    height, width = action.size
    if isinstance(action, _Resize):
        return Frame(frame.vertical.resized(height), frame.horizontal.resized(width))
    return Frame(frame.vertical.placed(action.top, height), frame.horizontal.placed(action.left, width))


def _place(pixels: AnyArray, place: _Place) -> AnyArray:
    return _placed((pixels.shape[0], pixels.shape[1]), place, lambda part: pixels[part.rows, part.columns])


def _place_resized(pixels: AnyArray, resize: _Resize, place: _Place, area: Area | None) -> AnyArray:
    return _placed(resize.size, place, lambda part: resize_part(pixels, resize.size, resize.filter_, part, area))


def _placed(size: Size, place: _Place, take: Callable[[Part], AnyArray]) -> AnyArray:
    """What a place takes of a picture of a size, which ``take`` gives in parts."""
    height, width = place.size
    rows = slice(max(0, place.top), min(size[0], place.top + height))
    columns = slice(max(0, place.left), min(size[1], place.left + width))
    taken = take(Part(rows, columns))
    if taken.shape[:2] == place.size:
        return taken
    canvas = np.full((height, width, taken.shape[2]), place.fill, taken.dtype)
    top, left = rows.start - place.top, columns.start - place.left
    canvas[top : top + taken.shape[0], left : left + taken.shape[1]] = taken
    return canvas
