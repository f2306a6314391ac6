"""Finds the spatial feature maps of a model, and the one that Grad-CAM explains by default."""

from __future__ import annotations

import math
from dataclasses import dataclass

import onnx_ir as ir

from camgraph.v1 import manifest_pb2 as pb
from camgraph_exporter.cam.cost import macs
from camgraph_exporter.cam.layouts import image_size, layouts_on
from camgraph_exporter.cam.score import Score
from camgraph_exporter.graph.dims import Dims, dims_of
from camgraph_exporter.prepare.prepare import Prepared
from camgraph_exporter.vjp.driver import Path

MOVES = {"Identity", "Dropout", "Transpose", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Cast", "Pad"}
# A map directly before one of these is not the end of its block.
_CONTINUATIONS = {
    "BatchNormalization", "Relu", "LeakyRelu", "PRelu", "Elu", "Selu", "Celu", "Clip", "HardSigmoid", "HardSwish", "Mish", "Gelu", "Sigmoid", "Tanh", "Softplus",
    "QuantizeLinear", "DequantizeLinear",
}  # fmt: skip


@dataclass(frozen=True)
class TargetLayer:
    """A feature map that can be explained: its tensor, how its axes become [K, h, w], and what explaining there costs.

    `extra_cost` is an estimate: multiply-accumulates of the backward part over those of the whole forward pass.
    """

    value: ir.Value
    layout: pb.LayerLayout
    channels: int
    height: int | None
    width: int | None
    stride: tuple[float, float] | None
    extra_cost: float
    is_cut: bool

    @property
    def name(self) -> str:
        """The tensor's name in the source."""
        return str(self.value.name)

    @property
    def spatial_axes(self) -> tuple[int, ...]:
        """Axes of the tensor over which alpha is a mean."""
        rank = len(dims_of(self.value))
        return tuple(range(2, rank)) if self.layout == pb.LAYER_LAYOUT_CHANNELS_FIRST else tuple(range(1, rank - 1))


def candidate_layers(prepared: Prepared, score: Score) -> list[TargetLayer]:
    """Return the ends of blocks, in the order of the model.

    For scores of an image they are those through which all evidence passes; networks for pixels and boxes have side paths everywhere.
    """
    layers = spatial_layers(prepared, score)
    names = {layer.name for layer in layers}
    ends = [layer for layer in layers if not _continues(layer.value, names) and not _is_moved(layer.value)]
    dense = score.task in (pb.TASK_SEGMENTATION, pb.TASK_DETECTION)
    cuts = [] if dense else [layer for layer in ends if layer.is_cut]
    return cuts or ends or layers


def spatial_layers(prepared: Prepared, score: Score) -> list[TargetLayer]:
    """Return every feature map on a path from image to score, in the order of the model."""
    path = Path(prepared.graph, [prepared.image], [score.value])
    layouts = layouts_on(path, prepared.image)
    cuts = _cuts(path)
    total = sum(macs(node) for node in prepared.graph) or 1
    layers = []
    for node in path.nodes:
        for value in node.outputs:
            if (
                value in path.values
                and value is not score.value
                and value.dtype is not None
                and value.dtype.is_floating_point()
                and value.shape is not None
            ):
                layer = _layer(value, layouts.get(value), prepared, is_cut=value in cuts)
                if layer is not None:
                    layers.append(layer)
    behind = _macs_behind(path)
    return [_with_cost(layer, behind[layer.value] / total) for layer in layers]


def _layer(value: ir.Value, layout: pb.LayerLayout | None, prepared: Prepared, *, is_cut: bool) -> TargetLayer | None:
    dims = dims_of(value)
    if len(dims) != 4 or layout is None:
        return None
    channels, height, width = (
        (dims[1], dims[2], dims[3]) if layout == pb.LAYER_LAYOUT_CHANNELS_FIRST else (dims[3], dims[1], dims[2])
    )
    if not isinstance(channels, int) or (height == 1 and width == 1):
        return None
    size = image_size(prepared)
    known = isinstance(height, int) and isinstance(width, int) and size is not None
    stride = (size[0] / int(height), size[1] / int(width)) if known and size is not None else None
    return TargetLayer(
        value,
        layout,
        channels,
        height if isinstance(height, int) else None,
        width if isinstance(width, int) else None,
        stride,
        math.nan,
        is_cut,
    )


def _with_cost(layer: TargetLayer, cost: float) -> TargetLayer:
    return TargetLayer(**{**layer.__dict__, "extra_cost": cost})


def _cuts(path: Path) -> set[ir.Value]:
    """Return the values through which every path from image to score goes."""
    position = {node: i for i, node in enumerate(path.nodes)}
    last_use = {
        value: max((position[use.node] for use in value.uses() if use.node in position), default=len(path.nodes))
        for value in path.values
    }
    cuts: set[ir.Value] = set()
    alive_until = max((last_use[value] for value in path.values if value.producer() not in position), default=-1)
    for i, node in enumerate(path.nodes):
        outputs = [value for value in node.outputs if value in path.values]
        if alive_until <= i and len(outputs) == 1:
            cuts.add(outputs[0])
        alive_until = max([alive_until, *(last_use[value] for value in outputs)])
    return cuts


def _continues(value: ir.Value, names: set[str]) -> bool:
    consumers = [use.node for use in value.uses()]
    return (
        len(consumers) == 1
        and consumers[0].op_type in _CONTINUATIONS
        and any(str(out.name) in names for out in consumers[0].outputs)
    )


def _is_moved(value: ir.Value) -> bool:
    producer = value.producer()
    return producer is not None and producer.op_type in MOVES and producer.domain == ""


def _macs_behind(path: Path) -> dict[ir.Value, float]:
    """Return for each value the multiply-accumulates of the nodes that lie behind it on the path."""
    behind: dict[ir.Value, float] = dict.fromkeys(path.values, 0.0)
    total = 0.0
    for node in reversed(path.nodes):
        for value in node.outputs:
            if value in behind:
                behind[value] = total
        total += macs(node)
    return behind
