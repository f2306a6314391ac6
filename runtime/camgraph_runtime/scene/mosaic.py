"""What windows gave, put together: maps, picture and missing data of the whole scene, at a fraction of its size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.frame import Axis, Frame, Size
from camgraph_core.laid import LaidMap
from camgraph_core.tiles import Tile
from camgraph_core.types import AnyArray, ByteArray, FloatArray
from camgraph_runtime.maps.placement import Placement
from camgraph_runtime.maps.profiles import on_input
from camgraph_runtime.scene.windows import weights_of


@dataclass(frozen=True)
class Grid:
    """The cells that a scene is put together in.

    Attributes:
        size: Height and width of the scene, in pixels.
        fraction: Pixels to a side of each cell.
        overlap: Pixels that windows share.

    """

    size: Size
    fraction: int
    overlap: int

    @property
    def cells(self) -> Size:
        """Cells down and across; those at the far edges may reach beyond the scene."""
        return -(-self.size[0] // self.fraction), -(-self.size[1] // self.fraction)

    @property
    def frame(self) -> Frame:
        """Where the scene lies in the cells."""
        return Frame(*(Axis(*sizes, 1 / self.fraction) for sizes in zip(self.size, self.cells, strict=True)))

    def of(self, window: Tile) -> Tile:
        """The cells of a window."""
        rows, columns = (slice(part.start // self.fraction, -(-part.stop // self.fraction)) for part in window)
        return rows, columns


class Mosaic:
    """The whole of a scene in the making."""

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        self.photo: ByteArray = np.zeros((*grid.cells, 3), np.uint8)
        self.missing: AnyArray = np.zeros(grid.cells, bool)
        self._maps: dict[tuple[int, int], FloatArray] = {}
        self._weights: FloatArray = np.zeros(grid.cells, np.float32)

    def look(self, window: Tile, photo: ByteArray, missing: AnyArray | None) -> None:
        """Takes the picture of a window, uint8 [h, w, 3], and where it has no data, bool [h, w]."""
        place = self.grid.of(window)
        self.photo[place] = np.asarray(Image.fromarray(photo).reduce(self.grid.fraction))
        if missing is not None:
            whole = Image.fromarray(missing.astype(np.uint8) * np.uint8(255)).reduce(self.grid.fraction)
            self.missing[place] = np.asarray(whole) == 255

    def add(self, window: Tile, maps: Sequence[Sequence[FloatArray]], layers: Sequence[pb.Layer], frame: Frame) -> None:
        """Adds the signed maps of a window: for each target one [h, w] for each layer.

        Args:
            window: The window.
            maps: The maps.
            layers: The layers.
            frame: Where the window lies in the network's input.

        """
        place, weights = self.grid.of(window), weights_of(window, self.grid.size, self.grid.overlap, self.grid.fraction)
        self._weights[place] += weights
        frame = Frame(*(self._in_cells(axis) for axis in (frame.vertical, frame.horizontal)))
        for target, of_layers in enumerate(maps):
            for number, (raw, layer) in enumerate(zip(of_layers, layers, strict=True)):
                placement = Placement.of_layer(layer, frame.network_size, (raw.shape[0], raw.shape[1]))
                laid = LaidMap(on_input(raw, frame.network_size, placement), frame).whole()
                total = self._maps.setdefault((target, number), np.zeros(self.grid.cells, np.float32))
                total[place] += laid * weights

    def maps(self, target: int) -> tuple[FloatArray, ...]:
        """The signed map of each layer for a target, float32 [h, w]; 0 where no window counts."""
        counted = np.maximum(self._weights, np.float32(1e-6))
        return tuple(
            (total / counted).astype(np.float32)
            for (number, _), total in sorted(self._maps.items(), key=_key)
            if number == target
        )

    def _in_cells(self, axis: Axis) -> Axis:
        """A window's axis with cells in place of pixels."""
        fraction = self.grid.fraction
        return replace(axis, photo=-(-axis.photo // fraction), scale=axis.scale * fraction)


def _key(item: tuple[tuple[int, int], FloatArray]) -> tuple[int, int]:
    return item[0]
