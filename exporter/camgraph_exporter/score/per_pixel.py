"""Tells whether a tensor has one number per pixel, and whether that can be negative."""

from __future__ import annotations

import math

import onnx_ir as ir

from camgraph_exporter.graph.dims import dims_of
from camgraph_exporter.graph.traits import Trait, has, of
from camgraph_exporter.prepare.prepare import PreparedModel
from camgraph_exporter.quantised.forms import maker
from camgraph_exporter.reading.axes import axes_on
from camgraph_exporter.reading.axis import is_spatial_pair
from camgraph_exporter.reading.image_path import image_path

_KEEP_SIGN = Trait.COPIES | Trait.RESHAPES | Trait.PERMUTES | Trait.RESAMPLES


def has_one_per_pixel(prepared: PreparedModel, value: ir.Value) -> bool:
    """Tell whether a tensor is [N, 1, H, W], [N, H, W, 1] or [N, H, W], with rows and columns of the image."""
    dims = dims_of(value)
    wide = [axis for axis in range(1, len(dims)) if dims[axis] != 1]
    if len(dims) not in (3, 4) or len(wide) != 2:
        return False
    axes = axes_on(image_path(prepared, value), prepared.image, prepared.probe.constants).get(value, ())
    return len(axes) == len(dims) and is_spatial_pair(axes[wide[0]], axes[wide[1]])


def is_rectified(value: ir.Value) -> bool:
    """Tell whether numbers cannot be negative and have no upper bound, by the operator that made them."""
    node = maker(value)
    while node is not None and has(node, _KEEP_SIGN) and node.inputs[0] is not None:
        node = maker(node.inputs[0])
    bounds = of(node).bounds if node is not None else None
    return bounds is not None and bounds[0] >= 0 and bounds[1] == math.inf
