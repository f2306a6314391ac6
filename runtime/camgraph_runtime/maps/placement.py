"""Where a layer's map lies on the network's input, and the map laid there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.errors import InvalidInputError
from camgraph_core.frame import Axis, Frame, Size
from camgraph_core.laid import LaidMap
from camgraph_core.types import AnyArray, FloatArray


def mask_size(manifest: pb.Manifest, network_size: Size) -> Size:
    """Height and width of the score map that a segmentation's mask marks, in cells.

    Args:
        manifest: The graph's manifest.
        network_size: Height and width of the network's input, in pixels.

    Raises:
        InvalidInputError: The map has no cells, as the input is too small.

    """
    names = manifest.target
    along = reversed(network_size) if names.mask_placement.transposed else network_size
    rows, columns = (
        _count(law, length) for law, length in zip((names.mask_size.rows, names.mask_size.columns), along, strict=True)
    )
    if rows < 1 or columns < 1:
        raise InvalidInputError(
            f"An input of {network_size[1]} x {network_size[0]} pixels is too small for this model: "
            "its score map has no cells."
        )
    return rows, columns


def _count(law: pb.CellCount, length: int) -> int:
    return law.margin + (law.up * ((length + law.offset) // law.down) if law.down else 0)


@dataclass(frozen=True)
class CellAxis:
    """The cells along one axis of a map, on an axis of the input.

    Attributes:
        cells: How many there are.
        start: Outer edge of cell 0, in input pixels.
        stride: Input pixels per cell; negative if the cells run against the input.

    """

    cells: int
    start: float
    stride: float

    @classmethod
    def of_manifest(cls, axis: pb.AxisPlacement, cells: int, length: int) -> CellAxis:
        """The axis that a manifest states, for an input of `length` pixels."""
        start, stride = axis.start + axis.start_share * length, axis.stride + axis.stride_share * length
        return cls(cells, start, stride)

    @classmethod
    def over(cls, cells: int, length: int) -> CellAxis:
        """Cells that cover the whole axis of `length` pixels."""
        return cls(cells, 0.0, length / cells)

    def centres(self) -> NDArray[np.float64]:
        """The cells' middles, float64 [cells], in input pixels, in the order of the map."""
        return self.start + self.stride * (np.arange(self.cells, dtype=np.float64) + 0.5)

    def taps(self, positions: AnyArray) -> tuple[AnyArray, AnyArray, FloatArray]:
        """For each position on the input the two cells that it lies between, and the weight of the second, 0..1.

        Beyond the middles of the outermost cells these count alone.
        """
        places = np.clip((positions - self.start) / self.stride - 0.5, 0, self.cells - 1)
        lower = np.floor(places).astype(np.intp)
        return lower, np.minimum(lower + 1, self.cells - 1), (places - lower).astype(np.float32)

    def on(self, length: int) -> Axis:
        """The way from the `length` pixels of the input to the cells."""
        return Axis(length, self.cells, 1 / self.stride, -self.start / self.stride)


@dataclass(frozen=True)
class FrameCells:
    """Where the cells along t of a map [t, h, w] lie on the `length` frames of the network's input."""

    cells: CellAxis
    length: int

    @classmethod
    def of_layer(cls, layer: pb.Layer, length: int) -> FrameCells:
        """Those of a layer's map, for a clip of `length` frames."""
        if layer.HasField("placement") and layer.placement.HasField("frames"):
            return cls(CellAxis.of_manifest(layer.placement.frames, layer.frames, length), length)
        return cls(CellAxis.over(layer.frames, length), length)

    def on_input(self) -> NDArray[np.bool_]:
        """Whether the middle of each cell lies within the clip, bool [t]."""
        centres = self.cells.centres()
        return np.asarray((centres >= 0) & (centres < self.length))


@dataclass(frozen=True)
class Placement:
    """Where a map [h, w] lies on the network's input.

    Attributes:
        rows: The map's rows; they lie along the input's height, or along its width if `transposed`.
        columns: The map's columns; they lie along the other axis.
        transposed: True if rows lie along the width.
        network_size: Height and width of the network's input.
        covers_input: True if the manifest states no place: the map is stretched over the whole input.

    """

    rows: CellAxis
    columns: CellAxis
    transposed: bool
    network_size: Size
    covers_input: bool

    @classmethod
    def of_layer(cls, layer: pb.Layer, network_size: Size, map_size: Size) -> Placement:
        """The placement of a layer's map, with the arguments of `of_manifest`."""
        stated = layer.placement if layer.HasField("placement") else None
        return cls.of_manifest(stated, network_size, map_size)

    @classmethod
    def of_manifest(cls, stated: pb.Placement | None, network_size: Size, map_size: Size) -> Placement:
        """The placement that a manifest states.

        Args:
            stated: The manifest's message; None for a map that covers the whole input.
            network_size: Height and width of the network's input, in pixels.
            map_size: Height and width of the map, in cells.

        """
        if stated is None:
            return cls.over_input(network_size, map_size)
        height, width = network_size
        along_rows, along_columns = (width, height) if stated.transposed else (height, width)
        return cls(
            CellAxis.of_manifest(stated.rows, map_size[0], along_rows),
            CellAxis.of_manifest(stated.columns, map_size[1], along_columns),
            stated.transposed,
            network_size,
            covers_input=False,
        )

    @classmethod
    def over_input(cls, network_size: Size, map_size: Size) -> Placement:
        """The placement of a map [h, w] that is stretched over the whole input."""
        rows, columns = (CellAxis.over(*sizes) for sizes in zip(map_size, network_size, strict=True))
        return cls(rows, columns, False, network_size, covers_input=True)

    @property
    def pixels_per_cell(self) -> float:
        """Pixels of the input that a cell covers."""
        return abs(self.rows.stride * self.columns.stride)

    def on_input(self) -> NDArray[np.bool_]:
        """Whether the middle of each cell lies on the input and not in a padding, bool [h, w]."""
        along_rows, along_columns = reversed(self.network_size) if self.transposed else self.network_size
        rows, columns = self.rows.centres(), self.columns.centres()
        inside_rows = (rows >= 0) & (rows < along_rows)
        return np.logical_and.outer(inside_rows, (columns >= 0) & (columns < along_columns))

    def lay(self, cells: FloatArray) -> FloatArray:
        """A map [h, w] laid onto the input: float32 [H, W], bilinear between centres of cells, 0 outside the map."""
        vertical, horizontal = (self.columns, self.rows) if self.transposed else (self.rows, self.columns)
        height, width = self.network_size
        # A map lies in the network's input as the network's input lies in the photo.
        frame = Frame(vertical.on(height), horizontal.on(width))
        return LaidMap(cells.T if self.transposed else cells, frame).whole()
