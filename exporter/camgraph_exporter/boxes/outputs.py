"""Gives the boxes of all candidates as an output, whatever the source calls them."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from camgraph.v1 import manifest_pb2 as pb
from camgraph_exporter.boxes.cells import decoded
from camgraph_exporter.boxes.find import BoxTensor
from camgraph_exporter.graph.dims import dims_of
from camgraph_exporter.image.layout import side_axes, sides_of
from camgraph_exporter.targets.interface import Interface
from camgraph_exporter.vjp.backward import Backward


def add_boxes(op: Backward, interface: Interface, boxes: BoxTensor) -> pb.Boxes:
    """Add the output `boxes` float32 [N, boxes, 4]: left, top, right and bottom in pixels of the input."""
    value = op.cast(op.residual(boxes.value), ir.DataType.FLOAT)
    rows = value if boxes.axis == 2 else op.Transpose(value, perm=[0, 2, 1])
    if dims_of(boxes.value)[boxes.axis] != 4:
        rows = op.Slice(rows, op.ints(0), op.ints(4), op.ints(2))
    if boxes.cells is not None:
        rows = decoded(op, rows, boxes.cells)
    corners = boxes.form.corners()
    sides = sides_of(interface.image)
    if boxes.form.is_normalised and all(isinstance(side, int) for side in sides):
        corners = corners * np.array([sides[1], sides[0]] * 2, np.float32)
    if not np.array_equal(corners, np.eye(4)):
        rows = op.MatMul(rows, op.constant(corners))
    if boxes.form.is_normalised and not all(isinstance(side, int) for side in sides):
        height, width = (op.size_vector(interface.image, axis) for axis in side_axes(interface.image))
        rows = op.Mul(rows, op.cast(op.join([width, height, width, height]), ir.DataType.FLOAT))
    return pb.Boxes(
        output=interface.add_output("boxes", rows),
        source_tensor=boxes.name,
        source_format=boxes.form.format,
        source_is_normalised=boxes.form.is_normalised,
    )
