"""What a target layer contributes to the graph's outputs: activations, channel weights, on request full gradients."""

from __future__ import annotations

import onnx_ir as ir

from camgraph.v1 import manifest_pb2 as pb
from camgraph_exporter.graph.dims import BATCH, dims_of
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
        activations = op.cast(_as_map(op, layer, layer.value), ir.DataType.FLOAT)
        g = _as_map(op, layer, op.full(g, layer.value, [0, _channel_axis(layer)]))
        cells = range(3, len(dims_of(g)))
        mean = op.mean(g, [axis for axis in cells if dims_of(g)[axis] != 1], keepdims=True)
        weights = op.Transpose(op.cast(op.Squeeze(mean, op.ints(*cells)), ir.DataType.FLOAT), perm=[1, 0, 2])
        result = pb.Layer(
            name=layer.name,
            alias=layer.alias,
            channels=layer.channels,
            height=layer.height or 0,
            width=layer.width or 0,
            frames=layer.frames,
            stride_height=layer.stride[0] if layer.stride else 0,
            stride_width=layer.stride[1] if layer.stride else 0,
            stride_frames=layer.frames_stride,
            layout=layer.layout,
            frame_axis=layer.frame_axis,
            prefix_tokens=layer.grid.prefix if layer.grid else 0,
            placement=layer.placement,
            activations_tensor=interface.add_output(f"activations{suffix}", activations),
            weights_tensor=interface.add_output(f"weights{suffix}", weights),
        )
        if gradients:
            full = op.full(g, activations)
            by_image = op.Transpose(op.cast(full, ir.DataType.FLOAT), perm=[1, 0, 2, *cells])
            result.gradients_tensor = interface.add_output(f"gradients{suffix}", by_image)
    return result


def _channel_axis(layer: TargetLayer) -> int:
    rank = len(dims_of(layer.value))
    if layer.layout != pb.LAYER_LAYOUT_CHANNELS_FIRST:
        return rank - 1
    return rank - (4 if layer.frame_axis == pb.LAYER_FRAMES_BEFORE_ROWS else 3)


def _as_map(op: Backward, layer: TargetLayer, x: ir.Value) -> ir.Value:
    """Turn the layer's value [N, ...] or its cotangent [T, N, ...] into [..., K, h, w], of a clip [..., K, t, h, w]."""
    if layer.frame_axis == pb.LAYER_FRAMES_IN_BATCH:
        x = _frames_apart(op, layer, x)
    if layer.grid is not None:
        x = to_map(op, x, layer.grid)
    elif layer.layout == pb.LAYER_LAYOUT_CHANNELS_LAST:
        first = len(dims_of(x)) - (4 if layer.frame_axis == pb.LAYER_FRAMES_BEFORE_ROWS else 3)
        rank = len(dims_of(x))
        x = op.Transpose(x, perm=[*range(first), rank - 1, *range(first, rank - 1)])
    if layer.frame_axis in (pb.LAYER_FRAMES_IN_BATCH, pb.LAYER_FRAMES_BEFORE_CHANNELS):
        rank = len(dims_of(x))
        x = op.Transpose(x, perm=[*range(rank - 4), rank - 3, rank - 4, rank - 2, rank - 1])
    elif layer.frames and layer.frame_axis == pb.LAYER_FRAMES_UNSPECIFIED:
        x = op.Unsqueeze(x, op.ints(-3))
    return x


def _frames_apart(op: Backward, layer: TargetLayer, x: ir.Value) -> ir.Value:
    """Give frames that are counted in with the batch an axis of their own: [..., N * t, ...] to [..., N, t, ...]."""
    have, own = dims_of(x), dims_of(layer.value)
    before = len(have) - len(own)
    rest = [
        op.ints(1) if have[before + axis] == 1 else op.size_vector(layer.value, axis) for axis in range(1, len(own))
    ]
    # A zero copies the number of targets.
    result = op.Reshape(x, op.join([op.ints(*[0] * before, -1, layer.frames), *rest]))
    batch = int(own[0]) // layer.frames if isinstance(own[0], int) else BATCH
    result.shape = ir.Shape([*have[:before], batch, layer.frames, *have[before + 1 :]])
    return result
