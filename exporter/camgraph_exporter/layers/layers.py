"""Finds the spatial feature maps of a model, between its image and its score."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import onnx_ir as ir

from camgraph.v1 import manifest_pb2 as pb
from camgraph_exporter.graph.dims import dims_of
from camgraph_exporter.graph.gradient_path import GradientPath
from camgraph_exporter.graph.traits import Trait, has
from camgraph_exporter.layers.cost import macs
from camgraph_exporter.prepare.prepare import PreparedModel
from camgraph_exporter.quantised.forms import maker, quantised_twin, shown
from camgraph_exporter.reading.axes import axes_on
from camgraph_exporter.reading.axis import TokenGrid
from camgraph_exporter.reading.image_path import image_path
from camgraph_exporter.reading.layouts import MapLayout, clip_length, image_seen, layout_from, seen
from camgraph_exporter.reading.pixels import front_of, is_constant, pixels_of
from camgraph_exporter.reading.placement.law import PlaceError
from camgraph_exporter.reading.placement.places import Places
from camgraph_exporter.reading.tokens import without_effect

# A map directly before one of these is not the end of its block.
_CONTINUATIONS = Trait.ACTIVATION | Trait.NORMALISES | Trait.QUANTISES | Trait.DEQUANTISES
# Nor is one before arithmetic with constants.
_ARITHMETIC = Trait.ARITHMETIC | Trait.AFFINE
# The result is the same map in other words.
_SAME_MAP = Trait.COPIES | Trait.RESHAPES | Trait.PERMUTES | Trait.PADS


@dataclass(frozen=True)
class TargetLayer:
    """A feature map that can be explained: its tensor, how its axes become [K, h, w], and what explaining there costs.

    `height` and `width` are None where they depend on the image; `seen` are the two in the probe's run, from which
    `stride` is, where the map covers the whole image. `extra_cost` is an estimate: multiply-accumulates of the backward
    part over those of the whole forward pass. `grid` says where the map lies in a row of tokens. `is_cut`: all evidence
    passes here. `is_junction`: branches fork or join here. `has_effect` is false where the score provably does not
    depend on the map's cells, as after the last attention of a transformer that pools its class token. `note` is a
    remark for the user on why this layer was chosen, `alias` the name that the user gave, where it is not the tensor's.
    `frames`: length of the map of a clip or a volume, 1 if it has no axis of frames; 0 for single images. `frame_axis`:
    where the tensor has them. `frames_stride`: frames of the input per cell.
    `placement`: where the map lies on the image, None if it covers the whole of it. `place_unknown`: a clause that says
    why its place is not known.
    """

    value: ir.Value
    layout: pb.LayerLayout
    channels: int
    height: int | None
    width: int | None
    seen: tuple[int, int] | None
    stride: tuple[float, float] | None
    extra_cost: float
    is_cut: bool
    is_junction: bool = False
    grid: TokenGrid | None = None
    has_effect: bool = True
    note: str = ""
    alias: str = ""
    placement: pb.Placement | None = None
    place_unknown: str = ""
    frames: int = 0
    frame_axis: pb.LayerFrames = pb.LAYER_FRAMES_UNSPECIFIED
    frames_stride: float = 0.0

    @property
    def name(self) -> str:
        """The tensor's name in the source."""
        return str(self.value.name)


def ends_of_blocks(prepared: PreparedModel, layers: Sequence[TargetLayer]) -> list[TargetLayer]:
    """Return those layers that are the ends of blocks, and of which it is known where they lie on the image."""
    names = {layer.name for layer in layers}
    return [
        layer
        for layer in layers
        if layer.has_effect
        and not layer.place_unknown
        and not _continues(layer.value, names, prepared)
        and not _is_listed_before(layer, names)
    ]


def narrowest(layers: Sequence[TargetLayer]) -> list[TargetLayer]:
    """Return the layers that all evidence passes; in a network of parallel branches, where branches fork or join."""
    cuts = [layer for layer in layers if layer.is_cut]
    return cuts or [layer for layer in layers if layer.is_junction] or list(layers)


def spatial_layers(prepared: PreparedModel, score: ir.Value) -> list[TargetLayer]:
    """Return every feature map on a path from image to score, in the order of the model.

    A map that is quantised at once is left out: its dequantised twin is what the deployed model computes with.
    """
    path = image_path(prepared, score)
    flows = path.with_gradient()
    pixels = pixels_of(prepared)
    places = Places(prepared, score, front_of(path, pixels))
    axes = axes_on(path, prepared.image, prepared.probe.constants, places.row_of_cells)
    idle = without_effect(path, axes, prepared.probe.constants)
    cuts = cuts_of(path)
    own = set(prepared.values().values())  # without what was added to give a score
    total = sum(macs(node) for node in prepared.graph) or 1
    layers = []
    for node in path.nodes:
        for value in node.outputs:
            if (
                value in flows
                and value in own
                and value not in pixels
                and value is not score
                and quantised_twin(value) is None
                and value.dtype is not None
                and value.dtype.is_floating_point()
                and value.shape is not None
            ):
                layout = layout_from(value, axes.get(value, ()))
                layer = _layer(value, layout, prepared)
                if layer is not None and layout is not None:
                    layers.append(
                        replace(
                            _placed(layer, layout, places),
                            is_cut=value in cuts,
                            is_junction=_is_junction(value, path),
                            has_effect=value not in idle,
                        )
                    )
    after = _macs_after(path)
    return [replace(layer, extra_cost=after[layer.value] / total) for layer in layers]


def _layer(value: ir.Value, layout: MapLayout | None, prepared: PreparedModel) -> TargetLayer | None:
    if layout is None:
        return None
    # Windows and patches are often counted in with the images, one map each. Only frames of a clip belong to one map.
    if layout.frame_axis != pb.LAYER_FRAMES_IN_BATCH and dims_of(value)[:1] != dims_of(prepared.image)[:1]:
        return None
    channels, height, width = layout.sizes(value)
    frames = clip_length(prepared)
    if not isinstance(channels, int) or (height == 1 and width == 1) or 0 in (channels, height, width):
        return None
    image, cells = image_seen(prepared), seen(prepared, height, width)
    return TargetLayer(
        value,
        layout.kind,
        channels,
        height if isinstance(height, int) else None,
        width if isinstance(width, int) else None,
        seen=cells,
        stride=(image[0] / cells[0], image[1] / cells[1]) if image is not None and cells is not None else None,
        extra_cost=math.nan,
        is_cut=False,
        grid=layout.grid,
        frames=(layout.frames or 1) if frames else 0,
        frame_axis=layout.frame_axis,
        frames_stride=frames / (layout.frames or 1),
    )


def _placed(layer: TargetLayer, layout: MapLayout, places: Places) -> TargetLayer:
    try:
        placement = places.placement(layer.value, layout)
    except PlaceError as error:
        return replace(layer, place_unknown=str(error))
    if placement is None or placement.rows.stride_share or placement.columns.stride_share:
        return replace(layer, placement=placement)
    stride = (abs(placement.rows.stride), abs(placement.columns.stride))
    frames_stride = abs(placement.frames.stride) if placement.HasField("frames") else layer.frames_stride
    return replace(layer, placement=placement, stride=stride, frames_stride=frames_stride)


def cuts_of(path: GradientPath) -> set[ir.Value]:
    """Return the values through which every path from image to score goes."""
    position = {node: i for i, node in enumerate(path.nodes)}
    # A value of which only the shape goes on, if anything, carries no evidence.
    last_use = {
        value: max((position[use.node] for use in value.uses() if use.node in position), default=-1)
        for value in path.values
    }
    cuts: set[ir.Value] = set()
    alive_until = max((last_use[value] for value in path.values if value.producer() not in position), default=-1)
    for i, node in enumerate(path.nodes):
        outputs = [value for value in node.outputs if value in path.values and last_use[value] >= 0]
        if alive_until <= i and len(outputs) == 1:
            cuts.add(outputs[0])
        alive_until = max([alive_until, *(last_use[value] for value in outputs)])
    return cuts


def _is_junction(value: ir.Value, path: GradientPath) -> bool:
    """Tell whether branches fork at a value, or are added or joined in it."""
    node = value.producer()
    joins = node is not None and (has(node, Trait.JOINS) or (has(node, Trait.ADDS) and has(node, Trait.ARITHMETIC)))
    joined = [x for x in node.inputs if x in path.values] if node is not None and joins else []
    consumers = {use.node for use in value.uses() if any(output in path.values for output in use.node.outputs)}
    return len(consumers) > 1 or len(joined) > 1


def _continues(value: ir.Value, names: set[str], prepared: PreparedModel) -> bool:
    """Tell whether a map goes on into an activation, a normalisation or arithmetic with constants."""
    consumers = [use.node for use in value.uses()]
    if len(consumers) != 1 or not any(str(out.name) in names for out in consumers[0].outputs):
        return False
    others = [x for x in consumers[0].inputs if x is not None and x is not value]
    scales = has(consumers[0], _ARITHMETIC) and all(is_constant(x, prepared) for x in others)
    return has(consumers[0], _CONTINUATIONS) or scales


def is_moved(layer: TargetLayer) -> bool:
    """Tell whether the map has the cells of the one before it: reshaped, or a row of tokens without its class token."""
    producer = maker(layer.value)
    if producer is None:
        return False
    return has(producer, _SAME_MAP) or (layer.grid is not None and producer.op_type == "Slice")


def _is_listed_before(layer: TargetLayer, names: set[str]) -> bool:
    """Tell whether a map is moved, and is a map already where it was."""
    node = maker(layer.value)
    source = shown(node.inputs[0]) if is_moved(layer) and node is not None and node.inputs[0] is not None else None
    return source is not None and str(source.name) in names


def _macs_after(path: GradientPath) -> dict[ir.Value, float]:
    """Return for each value the multiply-accumulates of the nodes after it on the path."""
    after: dict[ir.Value, float] = dict.fromkeys(path.values, 0.0)
    total = 0.0
    for node in reversed(path.nodes):
        for value in node.outputs:
            if value in after:
                after[value] = total
        total += macs(node)
    return after
