"""Where the pixels of an image lie on the ground: tags of a GeoTIFF, or a world file beside the image."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

from camgraph_core.errors import InvalidInputError
from camgraph_core.frame import Size
from camgraph_core.types import AnyArray
from camgraph_runtime.preprocess.arrays import is_numpy_file
from camgraph_runtime.preprocess.camera import mirrored_axes, upright_size
from camgraph_runtime.preprocess.containers.dicom import is_dicom
from camgraph_runtime.preprocess.containers.limits import LARGEST_SIDE
from camgraph_runtime.preprocess.containers.tiff import tag_values
from camgraph_runtime.preprocess.opening import Encoded, open_image
from camgraph_runtime.preprocess.raster import TIFF, mapped

Transform = tuple[float, float, float, float, float, float]
"""a to f of x = a * column + b * row + c and y = d * column + e * row + f, counted from the corner of the image."""

_WIDTH, _HEIGHT, _ORIENTATION = 256, 257, 274
_SCALE, _TIEPOINTS, _MATRIX, _KEYS, _NUMBERS, _TEXTS = 33550, 33922, 34264, 34735, 34736, 34737
_RASTER_TYPE, _POINT, _AREA = 1025, 2, 1
_LONGEST_WORLD_FILE = 1024
_HEAD = 132  # bytes that tell a NumPy file and a DICOM file


@dataclass(frozen=True)
class Georeference:
    """Where an image lies.

    Attributes:
        transform: From its pixels to coordinates.
        keys: GeoTIFF's keys, which name the coordinate system, uint16; None of a world file, which does not.
        numbers: The floating-point numbers that the keys refer to.
        texts: The texts that they refer to.

    """

    transform: Transform
    keys: AnyArray | None = None
    numbers: AnyArray | None = None
    texts: bytes | None = None

    def scaled(self, have: Size, want: Size) -> Georeference:
        """That of the image after it was brought from one height and width to another."""
        a, b, c, d, e, f = self.transform
        down, across = have[0] / want[0], have[1] / want[1]
        return replace(self, transform=(a * across, b * down, c, d * across, e * down, f))

    def turned(self, size: Size, orientation: int) -> Georeference:
        """That of the image after it was made upright.

        Args:
            size: Height and width as stored.
            orientation: How the camera was turned, 1 to 8, as EXIF numbers it.

        """
        height, width = upright_size(size, orientation)
        down, across = mirrored_axes(orientation)
        # Where upright columns and rows come from, as [upright column, upright row, 1] of the stored ones.
        column = (-1.0, 0.0, float(width)) if across else (1.0, 0.0, 0.0)
        row = (0.0, -1.0, float(height)) if down else (0.0, 1.0, 0.0)
        if upright_size((1, 2), orientation) == (2, 1):
            column, row = row, column
        a, b, c, d, e, f = self.transform
        x = [a * of_column + b * of_row for of_column, of_row in zip(column, row, strict=True)]
        y = [d * of_column + e * of_row for of_column, of_row in zip(column, row, strict=True)]
        return replace(self, transform=(x[0], x[1], x[2] + c, y[0], y[1], y[2] + f))

    def world_file(self) -> str:
        """The content of a world file: six lines, the last two with the middle of the first pixel."""
        a, b, c, d, e, f = self.transform
        return "".join(f"{number:.12g}\n" for number in (a, d, b, e, c + (a + b) / 2, f + (d + e) / 2))

    def tags(self) -> list[tuple[int, str, int, object, bool]]:
        """The tags of a GeoTIFF, as tifffile takes them."""
        a, b, c, d, e, f = self.transform
        if b or d or a <= 0 or e >= 0:
            matrix = (a, b, 0.0, c, d, e, 0.0, f, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0)
            found: list[tuple[int, str, int, object, bool]] = [(_MATRIX, "d", 16, matrix, True)]
        else:
            found = [(_SCALE, "d", 3, (a, -e, 0.0), True), (_TIEPOINTS, "d", 6, (0.0, 0.0, 0.0, c, f, 0.0), True)]
        if self.keys is not None:
            found.append((_KEYS, "H", self.keys.size, tuple(self.keys.tolist()), True))
        if self.numbers is not None:
            found.append((_NUMBERS, "d", self.numbers.size, tuple(self.numbers.tolist()), True))
        if self.texts is not None:
            found.append((_TEXTS, "s", 0, self.texts.rstrip(b"\0"), True))
        return found


def read_georeference(path: Path) -> Georeference | None:
    """Where the image of a file lies; None where neither the file nor one beside it says so in a way that can be used.

    Files speak of the pixels as they are stored. This is of the upright image, which is what heatmaps and pictures lie
    on.

    Raises:
        InvalidInputError: The file cannot be read.

    """
    try:
        with path.open("rb") as file:
            is_tiff = file.read(4) in TIFF
        found = (_of_tiff(path) if is_tiff else None) or _of_world_file(path)
    except OSError as error:
        raise InvalidInputError(f"{path} cannot be read: {error.strerror or error}.") from error
    return None if found is None else found.turned(*(_turn_of_tiff(path) if is_tiff else _turn(path)))


def _turn_of_tiff(path: Path) -> tuple[Size, int]:
    """Height and width as stored, and the orientation; a scene is too large to be opened for it."""
    tags = tag_values(mapped(path), (_HEIGHT, _WIDTH, _ORIENTATION))
    height, width, orientation = (int(tags[tag][0]) if tag in tags else 1 for tag in (_HEIGHT, _WIDTH, _ORIENTATION))
    return (height, width), orientation if 1 <= orientation <= 8 else 1


def _turn(path: Path) -> tuple[Size, int]:
    """The same of another picture; what is not a picture is not turned, and may be too large to be read for it."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if is_numpy_file(head) or is_dicom(head):
        return (1, 1), 1
    opened = open_image(path, max_pixels=LARGEST_SIDE**2)
    return (
        ((opened.image.height, opened.image.width), opened.orientation) if isinstance(opened, Encoded) else ((1, 1), 1)
    )


def _of_tiff(path: Path) -> Georeference | None:
    tags = tag_values(mapped(path), (_SCALE, _TIEPOINTS, _MATRIX, _KEYS, _NUMBERS, _TEXTS))
    transform = _transform(tags.get(_SCALE), tags.get(_TIEPOINTS), tags.get(_MATRIX))
    if transform is None:
        return None
    texts = tags.get(_TEXTS)
    found = Georeference(transform, tags.get(_KEYS), tags.get(_NUMBERS), None if texts is None else texts.tobytes())
    return _of_corners(found)


def _transform(scale: AnyArray | None, tiepoints: AnyArray | None, matrix: AnyArray | None) -> Transform | None:
    if matrix is not None and matrix.size == 16:
        a, b, _, c, d, e, _, f = map(float, matrix[:8])
    elif scale is not None and tiepoints is not None and scale.size >= 2 and tiepoints.size == 6:
        column, row, _, x, y, _ = map(float, tiepoints)
        a, b, d, e = float(scale[0]), 0.0, 0.0, -float(scale[1])
        c, f = x - column * a, y - row * e
    else:
        return None
    return _checked((a, b, c, d, e, f))


def _checked(transform: Transform) -> Transform | None:
    a, b, _, d, e, _ = transform
    return transform if all(map(math.isfinite, transform)) and a * e - b * d != 0 else None


def _of_corners(found: Georeference) -> Georeference:
    """With the corner of the image at 0, 0, where the file's keys say that it is the middle of the first pixel."""
    if found.keys is None or found.keys.size % 4:
        return found
    keys = found.keys.reshape(-1, 4).copy()
    points = (keys[:, 0] == _RASTER_TYPE) & (keys[:, 1] == 0) & (keys[:, 3] == _POINT)
    points[0] = False  # the first row counts the others
    if not points.any():
        return found
    keys[points, 3] = _AREA
    a, b, c, d, e, f = found.transform
    return replace(found, transform=(a, b, c - (a + b) / 2, d, e, f - (d + e) / 2), keys=keys.reshape(-1))


def _of_world_file(path: Path) -> Georeference | None:
    suffix = path.suffix.lower()
    names = {f"{suffix[:2]}{suffix[-1:]}w", f"{suffix}w", ".wld"} if len(suffix) > 2 else {".wld"}
    for name in sorted(names):
        beside = path.with_suffix(name)
        if beside.is_file() and beside.stat().st_size <= _LONGEST_WORLD_FILE:
            try:
                a, d, b, e, x, y = map(float, beside.read_text(encoding="ascii").split())
            except ValueError:
                continue
            transform = _checked((a, b, x - (a + b) / 2, d, e, y - (d + e) / 2))
            return None if transform is None else Georeference(transform)
    return None
