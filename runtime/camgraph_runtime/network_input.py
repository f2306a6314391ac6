"""What goes into the network for one image."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from camgraph_core.canvas import Canvas
from camgraph_core.scaled import ScaledPhoto
from camgraph_core.style import Style
from camgraph_core.types import AnyArray
from camgraph_runtime.painter import load_painter
from camgraph_runtime.preprocess import Frame, PreparedPhoto

T = TypeVar("T")


@dataclass(frozen=True)
class NetworkInput:
    """What goes into the network for one image, and the way back.

    Attributes:
        tensor: The network's input, [1, ...].
        frame: Where the photo lies in the network's input.
        prepared: The photo and its preprocessing; None where the caller gave a tensor.
        decode_ms: Time for decoding.
        preprocess_ms: Time for geometry and normalisation.
        frames: How many frames it has; 1 of a single image.
        photos: Of a clip each frame and its preprocessing; empty where the caller gave a tensor.
        counted: How much each pixel of the photo counts in areas and means over them, [H, W]: truth values of a photo;
            numbers of a window of a scene. None: all alike.

    """

    tensor: AnyArray
    frame: Frame
    prepared: PreparedPhoto | None = None
    decode_ms: float = 0.0
    preprocess_ms: float = 0.0
    frames: int = 1
    photos: tuple[PreparedPhoto, ...] = ()
    counted: AnyArray | None = None

    def canvas(self, style: Style) -> Canvas:
        """What pictures of it are drawn on and with."""
        return self._canvas_of(self.prepared, style)

    def canvases(self, style: Style) -> list[Canvas]:
        """The same for each frame of a clip."""
        return [self._canvas_of(photo, style) for photo in self.photos or [None] * self.frames]

    def _canvas_of(self, prepared: PreparedPhoto | None, style: Style) -> Canvas:
        if prepared is None:
            return Canvas(self.frame, style, None, load_painter)
        original = prepared.original
        return Canvas(
            self.frame,
            style,
            partial(as_it_is, prepared.photo) if original is None else original.read_photo,
            load_painter,
            None if original is None else ScaledPhoto(prepared.photo, original.area),
            shown=prepared.shown,
            read_missing=None if prepared.missing is None else partial(as_it_is, prepared.missing),
        )


def as_it_is(value: T) -> T:
    """What a canvas reads where nothing has to be read; other than a lambda it can be pickled."""
    return value
