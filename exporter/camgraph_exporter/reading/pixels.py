"""Tells which values are still the image itself, only rearranged or rescaled."""

from __future__ import annotations

import onnx_ir as ir

from camgraph_exporter.graph.gradient_path import GradientPath
from camgraph_exporter.graph.traits import Trait, has
from camgraph_exporter.prepare.prepare import PreparedModel

# What leaves pixels pixels: each by itself, in another place, or between its neighbours.
_OF_PIXELS = Trait.ELEMENTWISE | Trait.AFFINE | Trait.MOVES | Trait.PADS | Trait.RESAMPLES


def pixels_of(prepared: PreparedModel) -> set[ir.Value]:
    """Return the values that are the image itself, rearranged, rescaled, rounded or compared with thresholds.

    They show nothing that the model found.
    """
    pixels = {prepared.image}
    for node in prepared.graph:
        inputs = [x for x in node.inputs if x is not None]
        others = [x for x in inputs if x not in pixels]
        if has(node, _OF_PIXELS) and len(others) < len(inputs) and all(is_constant(x, prepared) for x in others):
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
