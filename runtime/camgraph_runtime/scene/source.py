"""Where the pixels of a scene come from: a file of which windows are read, or an image that was decoded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.errors import InvalidInputError, UnsupportedError
from camgraph_core.frame import Size
from camgraph_core.types import AnyArray
from camgraph_runtime.preprocess.arrays import is_numpy_file, map_numpy
from camgraph_runtime.preprocess.containers.tiff import check_tiff
from camgraph_runtime.preprocess.opening import ImageSource, open_image
from camgraph_runtime.preprocess.pixels import read_colour, read_stored
from camgraph_runtime.preprocess.raster import TIFF, mapped, open_raster

_HEAD = 8  # bytes that tell the kind of a file


class Scene(Protocol):
    """Pixels that are read a window at a time."""

    @property
    def size(self) -> Size:
        """Height and width."""

    @property
    def nodata(self) -> float | None:
        """The value that stands for no data, as the file says it."""

    def read(self, rows: slice | None = None, columns: slice | None = None) -> AnyArray:
        """A window, [h, w, C]."""


@dataclass(frozen=True)
class ArrayScene:
    """A scene in memory, or in a file that is mapped into it: [H, W] or [H, W, C]."""

    array: AnyArray
    nodata: float | None = None

    @property
    def size(self) -> Size:
        """Height and width."""
        return self.array.shape[0], self.array.shape[1]

    def read(self, rows: slice | None = None, columns: slice | None = None) -> AnyArray:
        """A window, [h, w, C]."""
        window = np.asarray(self.array[rows or slice(None), columns or slice(None)])
        return window[:, :, None] if window.ndim == 2 else window


def open_scene(source: ImageSource, spec: pb.InputSpec, *, max_pixels: int) -> Scene:
    """Opens a scene; no pixel is read of a TIFF or .npy file, which may be larger than memory.

    Args:
        source: As for an image. A path is best, as the file then is not read as a whole.
        spec: The input of the network.
        max_pixels: Largest number of pixels of a scene that has to be decoded as a whole, such as a JPEG.

    Raises:
        InvalidInputError: The scene cannot be read, or has too many pixels to be decoded as a whole.
        UnsupportedError: It is a TIFF that needs the extra `geo`.

    """
    if isinstance(source, str | Path):
        head = _head(Path(source))
        if head.startswith(TIFF):
            return _raster(Path(source), spec, max_pixels)
        if is_numpy_file(head) and not head.startswith(b"PK"):
            return ArrayScene(map_numpy(Path(source)))
    return _decoded(source, spec, max_pixels)


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_HEAD)
    except OSError as error:
        raise InvalidInputError(f"{path} cannot be read: {error.strerror or error}.") from error


def _raster(path: Path, spec: pb.InputSpec, max_pixels: int) -> Scene:
    """A TIFF by windows, where that is possible; one of a kind that Pillow alone reads as a whole."""
    data = mapped(path)
    check_tiff(data, max_pixels)
    try:
        raster = open_raster(data)
    except (InvalidInputError, UnsupportedError) as error:
        try:
            return _decoded(path, spec, max_pixels)
        except InvalidInputError:
            raise error from None
    if raster.orientation != 1:
        return _decoded(path, spec, max_pixels)
    return raster


def _decoded(source: ImageSource, spec: pb.InputSpec, max_pixels: int) -> Scene:
    opened = open_image(source, max_pixels=max_pixels)
    is_stored = spec.channel_order == pb.CHANNEL_ORDER_STORED
    return ArrayScene(read_stored(opened) if is_stored else read_colour(opened), opened.nodata)
