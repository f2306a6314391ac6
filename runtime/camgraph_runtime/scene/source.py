"""Where the pixels of a scene come from: a file of which windows are read, or an image that was decoded."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.errors import InvalidInputError, UnsupportedError
from camgraph_core.frame import Size
from camgraph_core.request import Request
from camgraph_core.types import AnyArray
from camgraph_runtime.preprocess.arrays import is_numpy_file, map_numpy
from camgraph_runtime.preprocess.containers.tiff import check_tiff
from camgraph_runtime.preprocess.decode import tones_in
from camgraph_runtime.preprocess.opening import ImageSource, as_stored, open_image
from camgraph_runtime.preprocess.pixels import read_colour, read_stored
from camgraph_runtime.preprocess.raster import TIFF, mapped, open_raster
from camgraph_runtime.preprocess.tones import NO_TONES, Tones

_HEAD = 8  # bytes that tell the kind of a file


class Scene(Protocol):
    """Pixels that are read a window at a time."""

    @property
    def size(self) -> Size:
        """Height and width."""

    @property
    def nodata(self) -> float | None:
        """The value that stands for no data, as the file says it."""

    @property
    def tones(self) -> Tones:
        """What the values mean, as far as a TIFF says it."""

    def read(self, rows: slice | None = None, columns: slice | None = None) -> AnyArray:
        """A window, [h, w, C]."""


@dataclass(frozen=True)
class ArrayScene:
    """A scene in memory, or in a file that is mapped into it: [H, W] or [H, W, C]."""

    array: AnyArray
    nodata: float | None = None
    tones: Tones = NO_TONES

    @property
    def size(self) -> Size:
        """Height and width."""
        return self.array.shape[0], self.array.shape[1]

    def read(self, rows: slice | None = None, columns: slice | None = None) -> AnyArray:
        """A window, [h, w, C]."""
        window = np.asarray(self.array[rows or slice(None), columns or slice(None)])
        return window[:, :, None] if window.ndim == 2 else window


@dataclass(frozen=True)
class TurnedScene:
    """A scene in which low values are white, turned round: each value is what is left to a sum."""

    scene: Scene
    total: float

    @property
    def size(self) -> Size:
        """Height and width."""
        return self.scene.size

    @property
    def tones(self) -> Tones:
        """What the values mean now."""
        return Tones(self.scene.tones.bits)

    @property
    def nodata(self) -> float | None:
        """The value that stands for no data, as the file says it."""
        return None if self.scene.nodata is None else self.total - self.scene.nodata

    def read(self, rows: slice | None = None, columns: slice | None = None) -> AnyArray:
        """A window, [h, w, C]: of the scene's own type where the sum is the largest value of it, else float32."""
        window = self.scene.read(rows, columns)
        is_same = self.total == self.scene.tones.most
        return window.dtype.type(self.total) - window if is_same else np.float32(self.total) - window.astype(np.float32)


def open_scene(source: ImageSource, spec: pb.InputSpec, request: Request, *, max_pixels: int) -> tuple[Scene, Request]:
    """Opens a scene; no pixel is read of a TIFF or .npy file, which may be larger than memory.

    Args:
        source: As for an image. A path is best, as the file then is not read as a whole.
        spec: The input of the network.
        request: What is asked; its window and its value for no data are of the values as they are stored.
        max_pixels: Largest number of pixels of a scene that has to be decoded as a whole, such as a JPEG.

    Returns:
        The scene, whose low values are black, and the request with the value for no data that it has there.

    Raises:
        InvalidInputError: The scene cannot be read, or has too many pixels to be decoded as a whole.
        UnsupportedError: It is a TIFF that needs the extra `geo`.

    """
    scene, nodata = _opened(source, spec, max_pixels), request.nodata
    total = scene.tones.black if request.window is None else sum(request.window)
    if scene.tones.low_is_white and total is not None:
        scene = TurnedScene(scene, total)
        nodata = None if nodata is None else total - nodata
    if nodata is None and spec.channel_order == pb.CHANNEL_ORDER_STORED:
        nodata = scene.nodata
    return scene, replace(request, nodata=nodata)


def _opened(source: ImageSource, spec: pb.InputSpec, max_pixels: int) -> Scene:
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
    is_plain = spec.channel_order == pb.CHANNEL_ORDER_STORED or raster.is_plain_colour
    return raster if raster.orientation == 1 and is_plain else _decoded(path, spec, max_pixels)


def _decoded(source: ImageSource, spec: pb.InputSpec, max_pixels: int) -> Scene:
    """A scene that is decoded as a whole; one that its reader turned round is turned back, as windows see to that."""
    opened = open_image(source, max_pixels=max_pixels)
    is_stored = spec.channel_order == pb.CHANNEL_ORDER_STORED
    if is_stored:
        opened = as_stored(opened, max_pixels=max_pixels)
    array, tones = read_stored(opened) if is_stored else read_colour(opened), tones_in(opened)
    if tones.is_turned:
        array, tones = np.uint8(255) - array, replace(tones, is_turned=False)
    return ArrayScene(array, opened.nodata, tones)
