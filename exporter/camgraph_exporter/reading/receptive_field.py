"""How much of the image one cell of a feature map can see."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from camgraph_exporter.graph.traits import Trait, has
from camgraph_exporter.prepare.prepare import PreparedModel
from camgraph_exporter.reading.axes import axes_on
from camgraph_exporter.reading.axis import Axes, Role, is_role
from camgraph_exporter.reading.image_path import image_path
from camgraph_exporter.reading.node_reading import NodeReading
from camgraph_exporter.reading.window_reading import sliding_window

_WHOLE_MAP = Trait.MIXES_PLACES | Trait.REDUCES


@dataclass(frozen=True)
class Field:
    """`size`: pixels of the image that reach one cell, along its longer side; infinite for the whole image.

    `jump`: pixels between neighbouring cells.
    """

    size: float
    jump: float


def receptive_fields(prepared: PreparedModel, score: ir.Value) -> dict[ir.Value, Field]:
    """Return the receptive field of every value between image and score.

    Araujo et al. 2019, Computing Receptive Fields of Convolutional Neural Networks, section 3.
    """
    path = image_path(prepared, score)
    axes = axes_on(path, prepared.image, prepared.probe.constants)
    fields = {prepared.image: Field(1, 1)}
    for node in path.nodes:
        inputs = [fields[value] for value in node.inputs if value is not None and value in fields]
        if inputs:
            widest = Field(max(field.size for field in inputs), max(field.jump for field in inputs))
            fields.update(dict.fromkeys(node.outputs, _after(node, widest, len(inputs), axes)))
    return fields


def _after(node: ir.Node, field: Field, inputs: int, axes: Mapping[ir.Value, Axes]) -> Field:
    if has(node, Trait.REDUCES) and _has_rows(axes.get(node.outputs[0], ())):
        return field  # of frames
    if has(node, _WHOLE_MAP) or (node.op_type == "MatMul" and inputs > 1):
        return Field(math.inf, field.jump)
    if node.op_type == "Resize":
        scale = _scale(node)
        return Field(field.size + field.jump, field.jump / scale)
    window = sliding_window(NodeReading(node, {}))
    if window is None:
        return field
    source = axes.get(node.inputs[0], ())[2:] if node.inputs[0] is not None else ()
    # How many frames of a clip a window sees is another matter.
    ways = [i for i in range(len(window.kernel)) if i >= len(source) or not is_role(source[i], Role.FRAMES)]
    stride, reach = (
        max((sizes[i] for i in ways), default=least) for sizes, least in ((window.strides, 1), (window.reach, 0))
    )
    if has(node, Trait.TRANSPOSED):
        return Field(field.size + math.ceil(reach / stride) * field.jump, field.jump / stride)
    return Field(field.size + reach * field.jump, field.jump * stride)


def _has_rows(axes: Axes) -> bool:
    return all(any(is_role(axis, role) for axis in axes) for role in (Role.HEIGHT, Role.WIDTH))


def _scale(node: ir.Node) -> float:
    """Return the enlargement of a Resize, from the sizes of its input and output."""
    sizes = [
        value.shape for value in (node.inputs[0], node.outputs[0]) if value is not None and value.shape is not None
    ]
    known = [[dim for dim in shape if isinstance(dim, int)] for shape in sizes]
    if len(known) < 2 or not known[0] or not known[1]:
        return 1.0
    return float(np.max(known[1][-2:]) / np.max(known[0][-2:]))
