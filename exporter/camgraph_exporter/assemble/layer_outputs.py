"""What a target layer contributes to the graph's outputs: activations, channel weights, on request full gradients."""

from __future__ import annotations

import onnx_ir as ir

from camgraph.v1 import manifest_pb2 as pb
from camgraph_exporter.graph.dims import dims_of
from camgraph_exporter.layers.layers import TargetLayer
from camgraph_exporter.reading.tokens import to_map
from camgraph_exporter.targets.interface import Interface
from camgraph_exporter.vjp.backward import Backward


def add_layer_outputs(
    op: Backward, interface: Interface, layer: TargetLayer, g: ir.Value, index: int, *, gradients: bool
) -> pb.Layer:
    """Add the outputs of one layer and return the manifest's account of it; `g` is the layer's cotangent."""
    suffix = f"_{index}" if index else ""
    with op.scope(f"layer{suffix}"):
        activations = op.cast(_channels_first(op, layer, layer.value), ir.DataType.FLOAT)
        channel_axis = 1 if layer.layout == pb.LAYER_LAYOUT_CHANNELS_FIRST else len(dims_of(layer.value)) - 1
        g = _channels_first(op, layer, op.full(g, layer.value, [0, channel_axis]))
        mean = op.mean(g, [axis for axis in (3, 4) if dims_of(g)[axis] != 1], keepdims=True)
        weights = op.Transpose(op.cast(op.Squeeze(mean, op.ints(3, 4)), ir.DataType.FLOAT), perm=[1, 0, 2])
        result = pb.Layer(
            name=layer.name,
            alias=layer.alias,
            channels=layer.channels,
            height=layer.height or 0,
            width=layer.width or 0,
            stride_height=layer.stride[0] if layer.stride else 0,
            stride_width=layer.stride[1] if layer.stride else 0,
            layout=layer.layout,
            prefix_tokens=layer.grid.prefix if layer.grid else 0,
            placement=layer.placement,
            activations_tensor=interface.add_output(f"activations{suffix}", activations),
            weights_tensor=interface.add_output(f"weights{suffix}", weights),
        )
        if gradients:
            full = op.full(g, activations)
            by_image = op.Transpose(op.cast(full, ir.DataType.FLOAT), perm=[1, 0, 2, 3, 4])
            result.gradients_tensor = interface.add_output(f"gradients{suffix}", by_image)
    return result


def _channels_first(op: Backward, layer: TargetLayer, x: ir.Value) -> ir.Value:
    """Turn the layer's value [N, ...] or its cotangent [T, N, ...] into [..., K, h, w]."""
    if layer.grid is not None:
        return to_map(op, x, layer.grid)
    if layer.layout == pb.LAYER_LAYOUT_CHANNELS_LAST:
        rank = len(dims_of(x))
        return op.Transpose(x, perm=[*range(rank - 3), rank - 1, rank - 3, rank - 2])
    return x
