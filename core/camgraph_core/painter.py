"""What draws and encodes pictures: the core has the maps, and whoever makes a result brings the painter."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias

from camgraph_core.types import AnyArray

if TYPE_CHECKING:
    from camgraph_core.clips import ClipExplanation
    from camgraph_core.frame import Size
    from camgraph_core.rectangle import Rectangle
    from camgraph_core.result import Result
    from camgraph_core.scaled import Area
    from camgraph_core.shown import Shown
    from camgraph_core.tiles import TiledMap
    from camgraph_core.types import ByteArray
    from camgraph_core.windows import Window


class PillowImage(Protocol):
    """An image of Pillow, which this package does not import."""

    @property
    def mode(self) -> str:
        """Its kind of pixels, such as "RGB"."""

    def tobytes(self) -> bytes:
        """Its pixels."""


ImageSource: TypeAlias = bytes | str | Path | AnyArray | PillowImage
"""An encoded picture or NumPy file, the path of a file, an array [H, W] or [H, W, C], or a Pillow image."""


class Painter(Protocol):
    """Draws with libraries that are loaded when something is drawn; `camgraph_runtime.pictures.paint` is one."""

    def read_photo(self, source: bytes, window: Window | None = None, frame: int | None = None, /) -> ByteArray:
        """The pixels of an encoded image for people: upright, uint8 [H, W, 3], RGB."""

    def read_bands(
        self, source: bytes, shown: Shown, window: Window | None = None, frame: int | None = None, /
    ) -> tuple[ByteArray, AnyArray | None]:
        """An encoded image of bands as it is shown, uint8 [H, W, 3], and where it has no data, bool [H, W] or None."""

    def shrunk(self, photo: ByteArray, size: Size, area: Area | None = None, /) -> ByteArray:
        """The photo, or an area of these pixels, at a smaller size."""

    def overlay(
        self, photo: ByteArray, heatmap: TiledMap, *, colormap: str, image_weight: float, opacity: str
    ) -> ByteArray:
        """The heatmap's colours mixed into the photo, uint8 [H, W, 3], RGB."""

    def with_unseen(
        self, picture: ByteArray, photo: ByteArray, seen: tuple[slice, slice], missing: AnyArray | None = None, /
    ) -> ByteArray:
        """The picture with the photo itself where the network does not see it or it has no data; it is drawn on."""

    def framed(self, picture: ByteArray, box: Rectangle, /) -> ByteArray:
        """The picture with a thin line around a rectangle; it is drawn on."""

    def outlined(self, picture: ByteArray, box: Rectangle, /) -> ByteArray:
        """The picture with the outline of a box; it is drawn on."""

    def traced(self, picture: ByteArray, region: TiledMap, /) -> ByteArray:
        """The picture with the outline of a region, which is where its map is 0.5 or more; it is drawn on."""

    def heatmap_to_gray(self, heatmap: TiledMap, /) -> ByteArray:
        """The heatmap as 8-bit grey, uint8 [H, W]."""

    def encode_jpeg(self, picture: ByteArray, quality: int = 90) -> bytes:
        """JPEG of a picture."""

    def result_panel(self, result: Result, *, name: str, opacity: str, shared_scale: bool) -> ByteArray:
        """The photo and all overlays side by side, uint8 [H, W, 3], RGB."""

    def clip_sheet(self, clip: ClipExplanation, /) -> ByteArray:
        """A contact sheet of a clip, uint8 [H, W, 3], RGB."""

    def play_clip(self, clip: ClipExplanation, path: Path, /) -> None:
        """Writes an animated picture or a video of a clip."""
