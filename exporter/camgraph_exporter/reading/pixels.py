"""Tells which values are still the image itself, only rearranged or rescaled."""

from __future__ import annotations

import onnx_ir as ir

from camgraph_exporter.graph.gradient_path import GradientPath
from camgraph_exporter.prepare.prepare import PreparedModel

MOVES = {"Identity", "Dropout", "Transpose", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Cast", "Pad"}
ARITHMETIC = {"Add", "Sub", "Mul", "Div", "Pow"}
_REARRANGEMENTS = {
    "Slice", "Split", "Concat", "Gather", "SpaceToDepth", "DepthToSpace", "Resize", "CenterCropPad", "ReverseSequence",
    "GatherND", "GatherElements", "GridSample", "Tile", "Expand",
}  # fmt: skip  # a table, in rows of its own
# What puts pixels into steps, one by one.
_STEPS = {
    "Round", "Floor", "Ceil", "Sign", "Mod", "Clip", "Min", "Max", "QuantizeLinear", "DequantizeLinear", "CastLike",
    "Where", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "And", "Or", "Xor", "Not", "IsInf", "IsNaN",
    "BitCast", "BitShift", "BitwiseAnd", "BitwiseNot", "BitwiseOr", "BitwiseXor",
}  # fmt: skip  # a table, in rows of its own


def pixels_of(prepared: PreparedModel) -> set[ir.Value]:
    """Return the values that are the image itself, rearranged, rescaled, rounded or compared with thresholds.

    They show nothing that the model found.
    """
    pixels = {prepared.image}
    for node in prepared.graph:
        kept = node.op_type in MOVES | _REARRANGEMENTS | ARITHMETIC | _STEPS and not node.domain
        inputs = [x for x in node.inputs if x is not None]
        if kept and any(x in pixels for x in inputs) and all(x in pixels or is_constant(x, prepared) for x in inputs):
            pixels.update(node.outputs)
    return pixels


def front_of(path: GradientPath, pixels: set[ir.Value]) -> set[ir.Value]:
    """Return the values that are still the image itself and go into something that looks at it."""
    return {
        value
        for node in path.nodes
        if not any(output in pixels for output in node.outputs)
        for value in node.inputs
        if value is not None and value in pixels
    }


def is_constant(value: ir.Value, prepared: PreparedModel) -> bool:
    """Tell whether a value does not depend on the image's content, though perhaps on its size."""
    sightings = prepared.probe.sightings
    return value.is_initializer() or any(value.name in sighting.constants for sighting in sightings[:1])
