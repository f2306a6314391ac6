"""Upsample and the first Resize compute the same after the lift to a newer opset."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import TensorProto, helper, numpy_helper

from camgraph_exporter.graph.passes import run
from camgraph_exporter.prepare.prepare import normalising
from camgraph_runtime.run.engine import Engine


def _model(op_type: str, opset: int, scales: list[float], mode: str) -> onnx.ModelProto:
    attributes: dict[str, Any] = {"mode": mode}
    inputs, constants = ["x"], []
    if opset < 9:
        attributes["scales"] = [float(scale) for scale in scales]
    else:
        inputs.append("scales")
        constants.append(numpy_helper.from_array(np.array(scales, dtype=np.float32), "scales"))
    node = helper.make_node(op_type, inputs, ["y"], name="resize", **attributes)
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 2, 5, 6])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 2, "h", "w"])
    graph = helper.make_graph([node], "g", [x], [y], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


@pytest.mark.parametrize("mode", ["nearest", "linear"])
@pytest.mark.parametrize("scales", [[1, 1, 2, 2], [1, 1, 1.7, 2.6], [1, 1, 0.5, 0.7]], ids=str)
@pytest.mark.parametrize(("op_type", "opset"), [("Upsample", 7), ("Upsample", 9), ("Resize", 10)])
def test_same_result_after_the_lift(op_type: str, opset: int, scales: list[float], mode: str) -> None:
    if op_type == "Upsample" and min(scales) < 1:
        pytest.skip("Upsample only enlarges")
    proto = _model(op_type, opset, scales, mode)
    model = ir.from_proto(proto)
    run(normalising(opset=18), model)
    lifted = ir.to_proto(model)
    onnx.checker.check_model(lifted)
    x = np.random.default_rng(1).standard_normal((2, 2, 5, 6)).astype(np.float32)
    before, after = (Engine(model.SerializeToString()).run({"x": x})["y"] for model in (proto, lifted))
    np.testing.assert_allclose(after, before, rtol=1e-6, atol=1e-6)
