"""Follows the order of the axes from the image through the network: channels first or channels last."""

from __future__ import annotations

import onnx_ir as ir

from camgraph.v1 import manifest_pb2 as pb
from camgraph_exporter.graph.dims import Dims, dims_of
from camgraph_exporter.prepare.prepare import Prepared
from camgraph_exporter.vjp.driver import Path

# ONNX's own spatial operators take and return [N, C, ...].
_CHANNELS_FIRST_OPERATORS = {
    "Conv", "ConvTranspose", "MaxPool", "AveragePool", "BatchNormalization", "InstanceNormalization", "LRN",
    "DepthToSpace", "SpaceToDepth", "QLinearConv", "ConvInteger",
}  # fmt: skip


def image_is_channels_last(dims: Dims) -> bool:
    """Tell whether an image input [N, ?, ?, ?] has its channels last."""
    return len(dims) == 4 and dims[-1] in (1, 3, 4) and dims[1] not in (1, 3, 4)


def image_size(prepared: Prepared) -> tuple[int, int] | None:
    """Return height and width of the image input in pixels, or None where they are dynamic."""
    dims = dims_of(prepared.image)
    height, width = (dims[1], dims[2]) if image_is_channels_last(dims) else (dims[-2], dims[-1])
    return (height, width) if isinstance(height, int) and isinstance(width, int) else None


def layouts_on(path: Path, image: ir.Value) -> dict[ir.Value, pb.LayerLayout]:
    """Return the layout of every value on a path that starts at the image."""
    first, last = pb.LAYER_LAYOUT_CHANNELS_FIRST, pb.LAYER_LAYOUT_CHANNELS_LAST
    layouts = {image: last if image_is_channels_last(dims_of(image)) else first}
    for node in path.nodes:
        layout = next((layouts[value] for value in node.inputs if value in layouts), first)
        if node.op_type in _CHANNELS_FIRST_OPERATORS:
            layout = first
        elif node.op_type == "Transpose":
            perm = list(node.attributes["perm"].value) if "perm" in node.attributes else []
            layout = last if perm == [0, 2, 3, 1] else first if perm == [0, 3, 1, 2] else layout
        layouts.update(dict.fromkeys(node.outputs, layout))
    return layouts


def layouts_of(prepared: Prepared, value: ir.Value) -> pb.LayerLayout:
    """Return the layout of one value that depends on the image."""
    path = Path(prepared.graph, [prepared.image], [value])
    return layouts_on(path, prepared.image).get(value, pb.LAYER_LAYOUT_CHANNELS_FIRST)
