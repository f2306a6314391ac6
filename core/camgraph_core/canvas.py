"""What the pictures of one image are drawn on and with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from functools import cached_property

from camgraph_core.errors import AbsentOutputError
from camgraph_core.frame import Frame, Size, fitted, of_shrunk_photo
from camgraph_core.outputs import NO_PHOTO
from camgraph_core.painter import Painter
from camgraph_core.rectangle import Rectangle
from camgraph_core.scaled import ScaledPhoto
from camgraph_core.shown import Shown
from camgraph_core.style import Style
from camgraph_core.types import AnyArray, ByteArray


@dataclass(frozen=True, eq=False)
class Canvas:
    """What the pictures of one image are drawn on and with.

    Attributes:
        frame: Where the photo (or the tensor that was given) lies in the network's input.
        style: How the request wants pictures.
        read_photo: Gives the upright photo, uint8 [H, W, 3], RGB; None where a tensor was given.
        load_painter: Gives what draws; called when something is drawn.
        scaled: The photo at a fraction of its size, of which small pictures are drawn, where it was decoded so.
        shown: How an image of bands is shown; None of grey and colour.
        read_missing: Gives where the photo has no data, bool [H, W], or None if that is nowhere.

    """

    frame: Frame
    style: Style
    read_photo: Callable[[], ByteArray] | None
    load_painter: Callable[[], Painter]
    scaled: ScaledPhoto | None = None
    shown: Shown | None = None
    read_missing: Callable[[], AnyArray | None] | None = None
    _last: list[ByteArray] = field(default_factory=list, init=False, repr=False)

    def __getstate__(self) -> dict[str, object]:
        """What is pickled: not the painter, which is loaded again, and not what can be made again."""
        state = {item.name: getattr(self, item.name) for item in fields(self)}
        return {**state, "_last": []}

    @cached_property
    def painter(self) -> Painter:
        """What draws."""
        return self.load_painter()

    @cached_property
    def photo(self) -> ByteArray | None:
        """The upright photo, uint8 [H, W, 3], RGB; None where a tensor was given."""
        return None if self.read_photo is None else self.read_photo()

    @cached_property
    def missing(self) -> AnyArray | None:
        """Where the photo has no data, bool [H, W]; None if that is nowhere."""
        return None if self.read_missing is None else self.read_missing()

    def size(self, max_side: int | None) -> Size:
        """Height and width of pictures whose longer side is at most ``max_side``."""
        return fitted(self.frame.photo_size, max_side)

    def frame_of(self, size: Size) -> Frame:
        """The frame of the photo at a size."""
        return of_shrunk_photo(self.frame, size)

    def view_within(self, size: Size) -> Rectangle | None:
        """What the network sees, on the photo at a size; None where it sees all of it."""
        rows, columns = self.frame_of(size).seen
        if (rows.start, columns.start, rows.stop, columns.stop) == (0, 0, *size):
            return None
        return Rectangle(columns.start, rows.start, columns.stop, rows.stop)

    def photo_of(self, size: Size) -> ByteArray:
        """The photo at a size; the last one is kept, as all explanations of an image are drawn at the same size.

        Raises:
            AbsentOutputError: A tensor was given.

        """
        last = self._last[:1]
        if not last or last[0].shape[:2] != size:
            last = [self._shrunk(size)]
            self._last[:] = last
        return last[0]

    def _shrunk(self, size: Size) -> ByteArray:
        if self.scaled is not None and self.scaled.serves(size):
            return self.painter.shrunk(self.scaled.pixels, size, self.scaled.area)
        if self.photo is None:
            raise AbsentOutputError(NO_PHOTO)
        return self.painter.shrunk(self.photo, size)
