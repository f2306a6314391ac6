"""Lifts models to a newer opset, by ONNX's own converter. The certificate shows later that no output changed.

Upsample and the first Resize keep their meaning: up to opset 10 an output element lies at its index over the scale, and
nearest rounds down (up where it shrinks). Opset 11 made attributes of both, with other defaults, which the converter
leaves as they are.
"""

from __future__ import annotations

import re

import numpy as np
import onnx
import onnx_ir as ir
from onnx_ir.passes import InPlacePass, PassResult

from camgraph_exporter.errors import ModelFileError
from camgraph_exporter.graph.passes import become
from camgraph_exporter.storage import weights_folder

_LAST_WITHOUT_COORDINATES = 10


class LiftOpsetPass(InPlacePass):
    """Converts a model of an older opset than the given one."""

    def __init__(self, opset: int) -> None:
        self._opset = opset

    def call(self, model: ir.Model) -> PassResult:
        """Convert where the opset is older.

        Raises:
            ModelFileError: the converter cannot lift the model.

        """
        version = model.opset_imports[""]
        if version >= self._opset:
            return PassResult(model, modified=False)
        become(model, _converted(model, self._opset))
        if version <= _LAST_WITHOUT_COORDINATES:
            _state_old_coordinates(model)
        return PassResult(model, modified=True)


def _converted(model: ir.Model, opset: int) -> ir.Model:
    version = model.opset_imports[""]
    try:
        proto = onnx.version_converter.convert_version(ir.to_proto(model), opset)
    except (RuntimeError, ValueError) as error:
        # The converter quotes its own C++ source before it says what is wrong.
        reason = re.sub(
            r"^.*` failed: ", "", str(error).strip().splitlines()[-1] if str(error).strip() else "no reason"
        )
        raise ModelFileError(
            f"The model uses opset {version}, which ONNX's converter could not lift to {opset} ({reason}). "
            f"Export it again with opset {opset} or newer."
        ) from error
    lifted = ir.from_proto(proto)
    folder = weights_folder(model)
    if folder is not None:
        ir.external_data.set_base_dir(lifted.graph, folder)
    return lifted


def _state_old_coordinates(model: ir.Model) -> None:
    """Give every Resize of a lifted model the attributes that state what opset 10 and older did."""
    for node in model.graph.all_nodes():
        if node.op_type == "Resize" and node.domain == "":
            node.attributes.add(ir.AttrString("coordinate_transformation_mode", "asymmetric"))
            node.attributes.add(ir.AttrString("nearest_mode", "ceil" if _shrinks(node) else "floor"))


def _shrinks(node: ir.Node) -> bool:
    scales = node.inputs[2] if len(node.inputs) > 2 else None
    array = ir.convenience.get_const_tensor(scales) if scales is not None else None
    return array is not None and bool((np.asarray(array.numpy()) < 1).any())
