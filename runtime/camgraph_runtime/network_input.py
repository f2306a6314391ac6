"""What goes into the network for one image."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from camgraph_core.canvas import Canvas
from camgraph_core.scaled import ScaledPhoto
from camgraph_core.style import Style
from camgraph_core.types import AnyArray, ByteArray
from camgraph_runtime.painter import load_painter
from camgraph_runtime.preprocess import Frame, PreparedPhoto


@dataclass(frozen=True)
class NetworkInput:
    """What goes into the network for one image, and the way back.

    Attributes:
        tensor: The network's input, [1, ...].
        frame: Where the photo lies in the network's input.
        prepared: The photo and its preprocessing; None where the caller gave a tensor.
        decode_ms: Time for decoding.
        preprocess_ms: Time for geometry and normalisation.

    """

    tensor: AnyArray
    frame: Frame
    prepared: PreparedPhoto | None = None
    decode_ms: float = 0.0
    preprocess_ms: float = 0.0

    def canvas(self, style: Style) -> Canvas:
        """What pictures of it are drawn on and with."""
        if self.prepared is None:
            return Canvas(self.frame, style, None, load_painter)
        photo, original = self.prepared.photo, self.prepared.original
        if original is None:
            return Canvas(self.frame, style, partial(_as_it_is, photo), load_painter)
        scaled = ScaledPhoto(photo, original.area)
        return Canvas(self.frame, style, original.read_photo, load_painter, scaled)


def _as_it_is(photo: ByteArray) -> ByteArray:
    return photo
