"""The explanation of one target: what the run gave, or what came over the wire, and the pictures made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from camgraph_core.canvas import Canvas
from camgraph_core.errors import AbsentOutputError, InvalidInputError, UsageError
from camgraph_core.frame import Frame, Size
from camgraph_core.guided_picture import guided_picture
from camgraph_core.laid import LaidMap, nearest
from camgraph_core.marked import Marked
from camgraph_core.outputs import OUTPUTS, SIGNED, Outputs, absent
from camgraph_core.png import encode_png
from camgraph_core.rectangle import Rectangle
from camgraph_core.result import ClassScore, note_of, title_of
from camgraph_core.statistics import MapStatistics
from camgraph_core.style import Style
from camgraph_core.tiles import TiledMap
from camgraph_core.types import ByteArray, FloatArray

_OUTPUT_OF_SUFFIX = {".png": "overlay-png", ".jpg": "overlay-jpeg", ".jpeg": "overlay-jpeg"}


@dataclass(frozen=True, eq=False)
class Explanation(Outputs):
    """The explanation of one target, the same from a graph in this process and from a server.

    Its outputs (``heatmap``, ``overlay_png`` ...) are the attributes of `Outputs`.

    Attributes:
        target: The class that the target resolved to.
        contrast: The class that it was held against, if any.
        negative: The map shows what speaks against the class.
        statistics: Statistics of the raw maps.
        layers: Names of the layers.
        method: Name of the method.
        in_input_frame: False with the profile "raw", whose map has the layer's own cells.
        canvas: What pictures are drawn on and with.
        given: The outputs that the run gave, or that came, by name.
        complete: What the run did not give is drawn from it; False for what came over the wire.
        marked: The pixels that the target's score was taken over: under its mask, polygon or region, or where its class
            wins; None where the task has none, or the graph does not show them.
        has_own_scale: The heat says by itself how much there is; it is not spread to the map's largest value.

    """

    target: ClassScore
    contrast: ClassScore | None
    negative: bool
    statistics: MapStatistics
    layers: tuple[str, ...]
    method: str
    in_input_frame: bool
    canvas: Canvas = field(repr=False)
    given: Mapping[str, Any] = field(repr=False)
    complete: bool
    marked: Marked | None = field(default=None, repr=False)
    has_own_scale: bool = False

    @property
    def mask(self) -> ByteArray | None:
        """What `marked` covers of the photo (of the tensor that was given), uint8 [H, W], 1 inside; None without."""
        return None if self.marked is None else self.marked.mask()

    @property
    def frame(self) -> Frame:
        """Where the photo (or the tensor that was given) lies in the network's input."""
        return self.canvas.frame

    @property
    def title(self) -> str:
        """The target in words, see `title_of`."""
        return title_of(self.target, self.contrast, negative=self.negative)

    @property
    def note(self) -> str:
        """Its numbers in words, see `note_of`."""
        return note_of(self.target, self.statistics)

    def output(self, name: str) -> Any:
        """The output of a name; it is not kept, as the attribute is.

        Raises:
            AbsentOutputError: It was not asked for, or this image, profile or method has none.

        """
        if name in self.given:
            return self.given[name]
        kind = OUTPUTS[name]
        if not self.complete:
            raise absent(name)
        obstacle = kind.obstacle(
            has_photo=self.canvas.read_photo is not None,
            in_unit_range=self.in_input_frame,
            has_guided="guided" in self.given,
            method=self.method,
        )
        if obstacle is not None or kind.draw is None:
            raise AbsentOutputError(obstacle or f"The run gave no output {name!r}.")
        return kind.draw(self)

    def gives(self, name: str) -> bool:
        """Whether the run gave an output, or what it is drawn from; distances to a memory bank have not all of them."""
        kind = OUTPUTS[name]
        return name in self.given or (kind.draw is not None and not (kind.needs_guided and "guided" not in self.given))

    def heatmap_within(self, max_side: int | None) -> FloatArray:
        """The heatmap of the photo as if it had been shrunk to a longest side of ``max_side`` pixels: float32 [h, w].

        It is computed at that size, and not kept. Nothing is enlarged, and a raw map stays as it is.

        Raises:
            UsageError: The side is smaller than one pixel.
            AbsentOutputError: The heatmap was not asked for.

        """
        tiled = self.tiled_heatmap(self.canvas.size(max_side))
        return tiled.whole() if isinstance(tiled, LaidMap) else np.asarray(tiled)

    def tiled_heatmap(self, size: Size | None = None) -> TiledMap:
        """The heatmap, without an array of the photo's size where the run's own map is at hand.

        Args:
            size: Height and width of the photo, if it was shrunk; by default what the request asked for.

        Raises:
            AbsentOutputError: Neither "input-heatmap" nor "heatmap" (at this size) was asked for.

        """
        size = size or self.canvas.size(self.canvas.style.max_side)
        if "input-heatmap" in self.given:
            cells = self.input_heatmap
            return LaidMap(cells, self.canvas.frame_of(size), self.canvas.missing) if self.in_input_frame else cells
        heatmap = self.heatmap
        if self.in_input_frame and heatmap.shape != size:
            raise AbsentOutputError("The heatmap came in another size; name 'input-heatmap' in outputs=.")
        return heatmap

    def overlay(
        self,
        *,
        colormap: str | None = None,
        image_weight: float | None = None,
        opacity: str | None = None,
        max_side: int | None = None,
        outline: bool = True,
        peak: float = 1.0,
    ) -> ByteArray:
        """The overlay on the photo, uint8 [H, W, 3], RGB; what is not given is as in the request.

        Over the wire it is drawn from the heatmap that came and the photo that was sent. Without that heatmap it is the
        overlay that came, if that looks so (as JPEG it has lost a little).

        Args:
            colormap: Colour map.
            image_weight: Weight of the photo against the colours, 0..1.
            opacity: Where the colours cover the photo, see `Style`.
            max_side: Longest side in pixels.
            outline: Draw the outline of the target's box or pixels, where it has them, and of what the network sees,
                where it does not see all.
            peak: The heat that the hottest place is painted with, 0..1, for pictures that share a scale.

        Raises:
            UsageError: A colour map that does not exist, or a number out of range.
            InvalidInputError: The profile is "raw".
            AbsentOutputError: A tensor was given, or neither a heatmap nor such an overlay came.

        """
        style = self._style(colormap, image_weight, max_side, opacity)
        came = [name for name in ("overlay-png", "overlay-jpeg") if name in self.given]
        as_it_came = outline and peak == 1 and style == self.canvas.style
        if came and as_it_came and not {"heatmap", "input-heatmap"} & self.given.keys():
            return self.canvas.painter.read_photo(self.given[came[0]])
        if not self.in_input_frame:
            raise InvalidInputError(SIGNED)
        size = self.canvas.size(style.max_side)
        photo = self.canvas.photo_of(size)
        painter, seen = self.canvas.painter, self.canvas.frame_of(size).seen
        drawn = painter.overlay(
            photo,
            _cooled(self.tiled_heatmap(size), peak),
            colormap=style.colormap,
            image_weight=style.image_weight,
            opacity=style.opacity,
        )
        missing = None if self.canvas.missing is None else nearest(self.canvas.missing, size)
        drawn = painter.with_unseen(drawn, photo, seen, missing)
        if not outline:
            return drawn
        box, view = self.box_within(size), self.canvas.view_within(size)
        if view is not None:
            drawn = painter.framed(drawn, view)
        if self.marked is not None:
            drawn = painter.traced(drawn, self.marked.within(size))
        return drawn if box is None else painter.outlined(drawn, box)

    def box_within(self, size: Size) -> Rectangle | None:
        """The target's box on the photo at a size; None without one."""
        box, (height, width) = self.target.box, self.canvas.frame.photo_size
        return None if box is None else box.scaled(size[1] / width, size[0] / height)

    def guided_picture(self, *, max_side: int | None = None) -> ByteArray:
        """Guided Grad-CAM as a picture, uint8 [H, W, 3], RGB, in the frame of the photo; it is not kept.

        Args:
            max_side: Longest side in pixels; by default as in the request.

        Raises:
            AbsentOutputError: It was not asked for, or the method is another.

        """
        style = self._style(max_side=max_side)
        if "guided-png" in self.given and "guided" not in self.given and style == self.canvas.style:
            return self.canvas.painter.read_photo(self.given["guided-png"])
        return guided_picture(self.guided, self.canvas.frame_of(self.canvas.size(style.max_side)))

    def grey(self) -> ByteArray:
        """The heatmap as 8-bit grey, uint8 [H, W]."""
        return self.canvas.painter.heatmap_to_gray(self.tiled_heatmap())

    def png(self, picture: ByteArray) -> bytes:
        """PNG of a picture, as the request wants it."""
        return encode_png(picture, self.canvas.style.png_level)

    def jpeg(self, picture: ByteArray) -> bytes:
        """JPEG of a picture, as the request wants it."""
        return self.canvas.painter.encode_jpeg(picture, self.canvas.style.jpeg_quality)

    def save(
        self,
        path: str | Path,
        *,
        colormap: str | None = None,
        image_weight: float | None = None,
        opacity: str | None = None,
        max_side: int | None = None,
    ) -> None:
        """Writes the overlay to a file; the arguments are those of `overlay`.

        Args:
            path: Where to; ``.png``, ``.jpg`` or ``.jpeg`` says which kind of file.
            colormap: Colour map.
            image_weight: Weight of the photo.
            opacity: Where the colours cover the photo.
            max_side: Longest side.

        Raises:
            UsageError: The name ends otherwise.
            CamgraphError: As for `overlay`.

        """
        path = Path(path)
        name = _OUTPUT_OF_SUFFIX.get(path.suffix.lower())
        if name is None:
            raise UsageError(f"{path} is neither a .png nor a .jpg file; name one of them.")
        if self._style(colormap, image_weight, max_side, opacity) == self.canvas.style and name in self.given:
            path.write_bytes(self.given[name])
            return
        picture = self.overlay(colormap=colormap, image_weight=image_weight, opacity=opacity, max_side=max_side)
        path.write_bytes(self.png(picture) if name == "overlay-png" else self.jpeg(picture))

    def _style(
        self,
        colormap: str | None = None,
        image_weight: float | None = None,
        max_side: int | None = None,
        opacity: str | None = None,
    ) -> Style:
        style = self.canvas.style
        return replace(
            style,
            colormap=style.colormap if colormap is None else colormap,
            image_weight=style.image_weight if image_weight is None else image_weight,
            max_side=style.max_side if max_side is None else max_side,
            opacity=style.opacity if opacity is None else opacity,
        )


def _cooled(heatmap: TiledMap, peak: float) -> TiledMap:
    """The map times a number of 0..1."""
    if peak == 1:
        return heatmap
    if isinstance(heatmap, LaidMap):
        return replace(heatmap, cells=heatmap.cells * np.float32(peak))
    return np.asarray(heatmap) * np.float32(peak)
