"""A side-by-side picture for people: the photo, an overlay for each class, titles, and a colour bar."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from camgraph_core.errors import AbsentOutputError
from camgraph_core.explanation import Explanation
from camgraph_core.marked import Marked
from camgraph_core.rectangle import Rectangle
from camgraph_core.result import Result
from camgraph_core.types import ByteArray
from camgraph_runtime.pictures.lettering import lettered, own_font, shorten
from camgraph_runtime.pictures.outline import framed, outlined, traced
from camgraph_runtime.pictures.overlay import colorize

Color = tuple[int, int, int]
Note: TypeAlias = tuple[list[str], ImageFont.FreeTypeFont]
"""The lines of a note, and their font."""

_PAPER: Color = (255, 255, 255)
_INK: Color = (28, 32, 38)
_FAINT: Color = (96, 104, 114)
_RULE: Color = (222, 226, 230)

GUIDED_TITLE = "Guided Grad-CAM"

_TILE_HEIGHT = 320
_MIN_WIDTH, _MAX_WIDTH = 200, 560
_LARGEST = 2 * _MAX_WIDTH  # of pictures, before they are shrunk into their tiles; what is larger adds nothing
_MARGIN = 24
_GAP = 20
_TITLE_SIZE, _NOTE_SIZE = 19, 14
_LINE = 18  # from one line of a note to the next
_TITLE_HEIGHT = 38  # what stands above a tile, without its note
_BETWEEN = "  ·  "  # the facts of a note
_BAR_WIDTH = 12
_BAR_SPACE = 64  # the bar, its gap and its numbers
_MAX_COLUMNS = 4


@dataclass(frozen=True, eq=False)
class Tile:
    """A picture with a title line and a fainter note below it.

    Attributes:
        picture: uint8 [H, W, 3], RGB.
        title: The title line.
        note: What stands below it, in as many lines as its facts take.
        marked: The pixels to outline; None for none.
        boxes: Boxes to outline, in pixels of the picture.
        view: What the network sees of it, framed thinly; None where it sees all.

    """

    picture: ByteArray
    title: str
    note: str = ""
    marked: Marked | None = None
    boxes: Sequence[Rectangle] = ()
    view: Rectangle | None = None


def result_panel(result: Result, *, name: str = "photo", opacity: str = "heat", shared_scale: bool = True) -> ByteArray:
    """Panel of a result: the photo with its size, then an overlay for each explanation with class and score.

    Colours and the weight of the photo are those of the request.

    Args:
        result: A result with a photo and heatmaps.
        name: Title of the photo's tile, for example its file name.
        opacity: Where the colours cover the photo.
        shared_scale: Paint a place as hot in all overlays where its map has the same value.

    Returns:
        uint8 [H, W, 3], RGB.

    Raises:
        AbsentOutputError: The result has no photo, or no heatmaps.
        InvalidInputError: The profile is "raw".

    """
    canvas = result.canvas
    if canvas.read_photo is None:
        raise AbsentOutputError("A panel needs the photo; a result from a tensor has none.")
    height, width = canvas.frame.photo_size
    size = canvas.size(_LARGEST)
    found = [score.box.scaled(size[1] / width, size[0] / height) for score in result.predictions if score.box]
    tiles = [Tile(canvas.photo_of(size), name, f"{width} x {height} px", boxes=found)]
    view, peaks = canvas.view_within(size), shared_peaks(result.explanations) if shared_scale else None
    for number, explanation in enumerate(result.explanations):
        peak = 1.0 if peaks is None else peaks[number]
        picture = explanation.overlay(max_side=_LARGEST, outline=False, opacity=opacity, peak=peak)
        box = explanation.box_within(picture.shape[:2])
        boxes = [] if box is None else [box]
        largest = f"largest {explanation.statistics.maximum:.3g}"
        note = f"{explanation.note}{_BETWEEN}{largest}" if explanation.note else largest
        tiles.append(Tile(picture, explanation.title, note, explanation.marked, boxes, view))
        if hasattr(explanation, "guided"):
            drawn = explanation.guided_picture(max_side=_LARGEST)
            tiles.append(Tile(drawn, explanation.title, GUIDED_TITLE, explanation.marked, boxes))
    return panel(tiles, colormap=canvas.style.colormap)


def shared_peaks(explanations: Sequence[Explanation]) -> list[float] | None:
    """How hot each map's hottest place is beside that of all maps, 0..1; None where they cannot be compared.

    A heatmap is ReLU(map) less its smallest value, divided by its largest. Maps that are fused of several layers have
    no values of their own. One with a scale of its own stays as it is.
    """
    compared = [item for item in explanations if not item.has_own_scale]
    if any(len(explanation.layers) > 1 or explanation.statistics.nonfinite for explanation in compared):
        return None
    ranges = {id(item): max(item.statistics.maximum, 0.0) - max(item.statistics.minimum, 0.0) for item in compared}
    largest = max(ranges.values(), default=0.0)
    return [ranges[id(item)] / largest if id(item) in ranges else 1.0 for item in explanations] if largest > 0 else None


def panel(tiles: Sequence[Tile], *, colormap: str = "jet") -> ByteArray:
    """Tiles side by side, at most four a row, with titles above them and a colour bar at the end.

    Titles that are too long are shortened; notes go on in a further line, between two facts.

    Returns:
        uint8 [H, W, 3], RGB.

    Raises:
        ValueError: There is no tile.
        UsageError: There is no such colour map.

    """
    if not tiles:
        raise ValueError("A panel needs a tile.")
    width = max(_tile_width(tile.picture) for tile in tiles)
    columns = min(len(tiles), _MAX_COLUMNS)
    rows = -(-len(tiles) // columns)
    notes = [_note(tile.note, width) for tile in tiles]
    above = _TITLE_HEIGHT + _LINE * max(1, *(len(lines) for lines, _ in notes))
    row_height = above + _TILE_HEIGHT
    size = (
        2 * _MARGIN + columns * width + (columns - 1) * _GAP + _BAR_SPACE,
        2 * _MARGIN + rows * row_height + (rows - 1) * _GAP,
    )
    canvas = Image.new("RGB", size, _PAPER)
    for number, (tile, note) in enumerate(zip(tiles, notes, strict=True)):
        row, column = divmod(number, columns)
        left, top = _MARGIN + column * (width + _GAP), _MARGIN + row * (row_height + _GAP)
        _draw_texts(canvas, tile.title, note, left, top, width)
        _draw_picture(canvas, tile, left, top + above, width)
    _draw_bar(canvas, colormap, size[0] - _MARGIN - _BAR_SPACE + _GAP, _MARGIN + above)
    return np.asarray(canvas)


def _tile_width(picture: ByteArray) -> int:
    height, width = picture.shape[:2]
    natural: int = round(width * _TILE_HEIGHT / height)
    return min(_MAX_WIDTH, max(_MIN_WIDTH, natural))


def _draw_texts(canvas: Image.Image, title: str, note: Note, left: int, top: int, width: int) -> None:
    text, font = lettered(title, _TITLE_SIZE)
    _draw_line(canvas, shorten(text, font, width), font, (left, top), _TITLE_SIZE, _INK)
    lines, font = note
    for number, line in enumerate(lines):
        _draw_line(canvas, line, font, (left, top + _TITLE_SIZE + 8 + number * _LINE), _NOTE_SIZE, _FAINT)


def _draw_line(
    canvas: Image.Image, text: str, font: ImageFont.FreeTypeFont, corner: tuple[int, int], size: int, color: Color
) -> None:
    """Draws a text where one in Pillow's own font would stand, as the fonts of machines are higher or lower."""
    left, top = corner
    ImageDraw.Draw(canvas).text((left, top + own_font(size).getmetrics()[0]), text, color, font, anchor="ls")


def _draw_picture(canvas: Image.Image, tile: Tile, left: int, top: int, width: int) -> None:
    picture = _fit(tile.picture, width)
    across, down = picture.width / tile.picture.shape[1], picture.height / tile.picture.shape[0]
    if tile.view is not None:
        picture = Image.fromarray(framed(np.array(picture), tile.view.scaled(across, down)))
    if tile.marked is not None:
        picture = Image.fromarray(traced(np.array(picture), tile.marked.within((picture.height, picture.width))))
    for box in tile.boxes:
        picture = Image.fromarray(outlined(np.array(picture), box.scaled(across, down)))
    canvas.paste(
        picture,
        (left + (width - picture.width) // 2, top + (_TILE_HEIGHT - picture.height) // 2),
    )


def _fit(picture: ByteArray, width: int) -> Image.Image:
    """The picture, as large as fits into a tile."""
    image = Image.fromarray(picture)
    factor = min(width / image.width, _TILE_HEIGHT / image.height)
    size = max(1, round(image.width * factor)), max(1, round(image.height * factor))
    return image.resize(size, Image.Resampling.LANCZOS)


def _draw_bar(canvas: Image.Image, colormap: str, left: int, top: int) -> None:
    draw = ImageDraw.Draw(canvas)
    ramp = np.linspace(1, 0, _TILE_HEIGHT, dtype=np.float32)[:, None].repeat(_BAR_WIDTH, axis=1)
    canvas.paste(Image.fromarray(colorize(ramp, colormap)), (left, top))
    draw.rectangle((left - 1, top - 1, left + _BAR_WIDTH, top + _TILE_HEIGHT), outline=_RULE)
    for share in (1.0, 0.5, 0.0):
        y = top + (1 - share) * (_TILE_HEIGHT - 1)
        draw.text((left + _BAR_WIDTH + 8, y), f"{share:g}", font=own_font(_NOTE_SIZE), fill=_FAINT, anchor="lm")


def _note(note: str, width: int) -> Note:
    text, font = lettered(note, _NOTE_SIZE)
    return note_lines(text, font, width), font


def note_lines(note: str, font: ImageFont.FreeTypeFont, width: int) -> list[str]:
    """The facts of a note, as many in a line as it has place for; one that is wider by itself is shortened."""
    lines: list[str] = []
    for fact in filter(None, note.split(_BETWEEN)):
        longer = f"{lines[-1]}{_BETWEEN}{fact}" if lines else fact
        if lines and font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(shorten(fact, font, width))
    return lines
