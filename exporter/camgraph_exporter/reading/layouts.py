"""Tells which tensors are feature maps, and how their axes become channels, height and width."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import onnx_ir as ir

from camgraph.v1 import manifest_pb2 as pb
from camgraph_exporter.graph.dims import Dim, dims_of, static
from camgraph_exporter.image.layout import frame_axis
from camgraph_exporter.prepare.prepare import PreparedModel
from camgraph_exporter.reading.axes import axes_on, image_axes
from camgraph_exporter.reading.axis import (
    BATCH,
    Axes,
    Role,
    TokenGrid,
    is_images_of_clips,
    is_role,
    is_spatial_pair,
)
from camgraph_exporter.reading.image_path import image_path


@dataclass(frozen=True)
class MapLayout:
    """How the axes of a feature map are ordered; `grid` says where the map lies in a row of tokens.

    `frames`: of a clip, how many the map has, on the axis that `frame_axis` says; 0 where it has none.
    """

    kind: pb.LayerLayout
    grid: TokenGrid | None = None
    frames: int = 0
    frame_axis: pb.LayerFrames = pb.LAYER_FRAMES_UNSPECIFIED

    def sizes(self, value: ir.Value) -> tuple[Dim, Dim, Dim]:
        """Return channels, height and width."""
        dims = dims_of(value)
        if self.grid is not None:
            return dims[-1], self.grid.height, self.grid.width
        if self.kind == pb.LAYER_LAYOUT_CHANNELS_LAST:
            return dims[-1], dims[-3], dims[-2]
        return dims[-3 - self._between], dims[-2], dims[-1]

    def map_axes(self, rank: int) -> Sequence[int]:
        """Return the axes of the map in a tensor with so many: of frames right before the rows, rows and columns.

        Frames that stand elsewhere are left out. Of tokens it is the one axis that holds the map.
        """
        if self.grid is not None:
            return [rank - 2]
        last = rank - 1 if self.kind == pb.LAYER_LAYOUT_CHANNELS_LAST else rank
        return range(last - 2 - self._between, last)

    @property
    def _between(self) -> int:
        """How many axes stand between channels and rows."""
        return int(self.frame_axis == pb.LAYER_FRAMES_BEFORE_ROWS)


def image_seen(prepared: PreparedModel) -> tuple[int, int] | None:
    """Return height and width of the image in the probe's run, or None for an input that is not an image of pixels."""
    dims = prepared.probe.shapes[str(prepared.image.name)]
    sizes = {axis.role: dim for axis, dim in zip(image_axes(prepared.image), dims, strict=True) if axis is not None}
    return seen(prepared, sizes.get(Role.HEIGHT), sizes.get(Role.WIDTH))


def clip_length(prepared: PreparedModel) -> int:
    """Return how many frames a clip or slices a volume has; 0 for a model that takes single images."""
    axis = frame_axis(prepared.image)
    return 0 if axis is None else int(dims_of(prepared.image)[axis])


def seen(prepared: PreparedModel, height: Dim | None, width: Dim | None) -> tuple[int, int] | None:
    """Return two sizes as they were in the probe's run, or None where that is not known."""
    sizes = [prepared.probe.example(dim) if dim is not None else None for dim in (height, width)]
    known = [size for size in sizes if size is not None]
    return (known[0], known[1]) if len(known) == 2 else None


def layout_from(value: ir.Value, axes: Axes) -> MapLayout | None:
    """Return the layout of a value, or None if it is not a feature map with the batch first."""
    if not axes or value.shape is None:
        return None
    dims = dims_of(value)
    if is_role(axes[0], Role.FRAMES) or is_images_of_clips(axes[0]):
        # Frames that are counted in with the batch: each has a map of its own.
        frames = axes[0].parts[1][1] if axes[0] is not None and axes[0].parts else dims[0]
        return _with_frames(value, (BATCH, *axes[1:]), frames, pb.LAYER_FRAMES_IN_BATCH)
    place = next((i for i, axis in enumerate(axes) if is_role(axis, Role.FRAMES)), None)
    if place is None:
        return _layout_of_one(value, axes)
    before_rows = is_role(axes[place + 1], Role.HEIGHT, Role.WIDTH) if place + 1 < len(axes) else False
    kind = pb.LAYER_FRAMES_BEFORE_ROWS if before_rows else pb.LAYER_FRAMES_BEFORE_CHANNELS
    fits = before_rows or place == 1
    return _with_frames(value, (*axes[:place], *axes[place + 1 :]), dims[place], kind) if fits else None


def _with_frames(value: ir.Value, axes: Axes, frames: Dim, place: pb.LayerFrames) -> MapLayout | None:
    """Return a layout with `frames`, of which `axes` are the others."""
    layout = _layout_of_one(value, axes)
    if layout is None or layout.frames or not isinstance(frames, int):
        return None
    return replace(layout, frames=frames, frame_axis=place)


def _layout_of_one(value: ir.Value, axes: Axes) -> MapLayout | None:
    """Return the layout of a value without its frames, unless a row of tokens holds them."""
    if len(axes) == 4 and is_role(axes[0], Role.BATCH):
        if is_spatial_pair(axes[2], axes[3]):
            return MapLayout(pb.LAYER_LAYOUT_CHANNELS_FIRST)
        if is_spatial_pair(axes[1], axes[2]):
            return MapLayout(pb.LAYER_LAYOUT_CHANNELS_LAST)
    if len(axes) == 3 and is_role(axes[0], Role.BATCH) and is_role(axes[1], Role.TOKENS):
        return _token_layout(value, axes)
    return None


def _token_layout(value: ir.Value, axes: Axes) -> MapLayout | None:
    assert axes[1] is not None
    grid, count = axes[1].grid, dims_of(value)[-2]
    # Rows and columns of an attention are both tokens.
    if grid is None or not (axes[2] is None or is_role(axes[2], Role.CHANNELS)):
        return None
    sizes = static(grid.sizes)
    if isinstance(count, int) and sizes is not None and grid.prefix + math.prod(sizes) > count:
        return None
    place = pb.LAYER_FRAMES_BEFORE_ROWS if grid.frames else pb.LAYER_FRAMES_UNSPECIFIED
    return MapLayout(pb.LAYER_LAYOUT_TOKENS, grid, grid.frames, place)


def layout_of(prepared: PreparedModel, value: ir.Value) -> pb.LayerLayout:
    """Return the layout of one value that depends on the image; channels first where it is not known."""
    path = image_path(prepared, value)
    layout = layout_from(value, axes_on(path, prepared.image, prepared.probe.constants).get(value, ()))
    return pb.LAYER_LAYOUT_CHANNELS_FIRST if layout is None else layout.kind
