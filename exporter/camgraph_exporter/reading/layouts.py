"""Tells which tensors are feature maps, and how their axes become channels, height and width."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from camgraph.v1 import manifest_pb2 as pb
from camgraph_exporter.graph.dims import Dim, dims_of, is_static
from camgraph_exporter.prepare.prepare import PreparedModel
from camgraph_exporter.reading.axes import axes_on, image_axes
from camgraph_exporter.reading.axis import Axes, Role, TokenGrid, is_role, is_spatial_pair
from camgraph_exporter.reading.image_path import image_path


@dataclass(frozen=True)
class MapLayout:
    """How the axes of a feature map are ordered; `grid` says where the map lies in a row of tokens."""

    kind: pb.LayerLayout
    grid: TokenGrid | None = None

    def sizes(self, value: ir.Value) -> tuple[Dim, Dim, Dim]:
        """Return channels, height and width."""
        dims = dims_of(value)
        if self.grid is not None:
            return dims[2], self.grid.height, self.grid.width
        if self.kind == pb.LAYER_LAYOUT_CHANNELS_LAST:
            return dims[3], dims[1], dims[2]
        return dims[1], dims[2], dims[3]


def image_seen(prepared: PreparedModel) -> tuple[int, int] | None:
    """Return height and width of the image in the probe's run, or None for an input that is not an image of pixels."""
    dims = prepared.probe.shapes[str(prepared.image.name)]
    sizes = {axis.role: dim for axis, dim in zip(image_axes(prepared.image), dims, strict=True) if axis is not None}
    return seen(prepared, sizes.get(Role.HEIGHT), sizes.get(Role.WIDTH))


def seen(prepared: PreparedModel, height: Dim | None, width: Dim | None) -> tuple[int, int] | None:
    """Return two sizes as they were in the probe's run, or None where that is not known."""
    sizes = [prepared.probe.example(dim) if dim is not None else None for dim in (height, width)]
    known = [size for size in sizes if size is not None]
    return (known[0], known[1]) if len(known) == 2 else None


def layout_from(value: ir.Value, axes: Axes) -> MapLayout | None:
    """Return the layout of a value, or None if it is not a feature map with the batch first."""
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
    grid, count = axes[1].grid, dims_of(value)[1]
    # Rows and columns of an attention are both tokens.
    if grid is None or not (axes[2] is None or is_role(axes[2], Role.CHANNELS)):
        return None
    if is_static((count, grid.height, grid.width)) and grid.prefix + int(grid.height) * int(grid.width) > int(count):
        return None
    return MapLayout(pb.LAYER_LAYOUT_TOKENS, grid)


def layout_of(prepared: PreparedModel, value: ir.Value) -> pb.LayerLayout:
    """Return the layout of one value that depends on the image; channels first where it is not known."""
    path = image_path(prepared, value)
    layout = layout_from(value, axes_on(path, prepared.image, prepared.probe.constants).get(value, ()))
    return pb.LAYER_LAYOUT_CHANNELS_FIRST if layout is None else layout.kind
