"""Keeps the meaning of Upsample and of the first Resize when a model is lifted to a newer opset.

Up to opset 10 an output element lies at its index over the scale, and nearest rounds down (up where it shrinks).
Opset 11 made attributes of both, with other defaults, which ONNX's converter leaves as they are.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

LAST_WITHOUT_ATTRIBUTES = 10


def state_old_coordinates(model: ir.Model) -> None:
    """Give every Resize of a lifted model the attributes that state what opset 10 and older did."""
    for node in model.graph.all_nodes():
        if node.op_type == "Resize" and node.domain == "":
            node.attributes.add(ir.AttrString("coordinate_transformation_mode", "asymmetric"))
            node.attributes.add(ir.AttrString("nearest_mode", "ceil" if _shrinks(node) else "floor"))


def _shrinks(node: ir.Node) -> bool:
    scales = node.inputs[2] if len(node.inputs) > 2 else None
    array = ir.convenience.get_const_tensor(scales) if scales is not None else None
    return array is not None and bool((np.asarray(array.numpy()) < 1).any())
