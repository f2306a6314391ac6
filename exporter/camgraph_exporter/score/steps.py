"""Tells scores of a row of steps, as recognisers of text give them, from scores of boxes: both are [N, S, C].

The elements of a row of steps lie side by side on the image, in one line. Those of boxes fill the image.
"""

from __future__ import annotations

import onnx_ir as ir

from camgraph_exporter.graph.dims import dims_of
from camgraph_exporter.prepare.prepare import PreparedModel
from camgraph_exporter.reading.placement.places import Places


def axis_of_steps(prepared: PreparedModel, value: ir.Value) -> int | None:
    """Return the axis of [N, S, C] or [N, C, S] whose elements lie in one line on the image; None if none does."""
    if value.shape is None or len(dims_of(value)) != 3:
        return None
    places = Places(prepared, value, ())
    for axis in (1, 2):
        if places.is_line(value, axis) and places.is_in_one_place(value, 3 - axis):
            return axis
    return None
