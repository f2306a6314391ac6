"""Max pooling of quantised integers chooses the same winners as pooling of the real numbers that they stand for."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from camgraph_exporter.graph.gradient_path import GradientPath
from camgraph_exporter.vjp.backward import Backward
from camgraph_exporter.vjp.driver import differentiate
from camgraph_runtime.run.engine import Engine

_POOL = "MaxPool <kernel_shape = [3, 2], strides = [2, 1], pads = [1, 0, 0, 1]>"


def _gradient(body: str, x: np.ndarray, seed: np.ndarray) -> np.ndarray:
    shape = ", ".join(str(size) for size in x.shape[1:])
    text = f'<ir_version: 10, opset_import: ["" : 19]> case (float[N, {shape}] x) => (float[N, 2, 3, 7] y) {{ {body} }}'
    model = ir.from_proto(onnx.shape_inference.infer_shapes(onnx.parser.parse_model(text)))
    graph = model.graph
    source, y = graph.inputs[0], graph.outputs[0]
    cotangent = ir.Value(name="seed", shape=ir.Shape(["T", *y.shape]), type=ir.TensorType(ir.DataType.FLOAT))
    graph.inputs.append(cotangent)
    op = Backward(graph)
    op.count_targets_by(cotangent, axis=0)
    found = differentiate(op, GradientPath(list(graph), [source], [y]), {y: cotangent}, [source])[source]
    graph.outputs.append(found)
    return Engine(ir.to_proto(model).SerializeToString()).run({"x": x, "seed": seed})[str(found.name)]


@pytest.mark.parametrize(("kind", "zero", "low"), [("int8", "int8 {0}", -40), ("uint8", "uint8 {3}", 0)])
def test_integers_route_like_the_real_numbers(kind: str, zero: str, low: int) -> None:
    rng = np.random.default_rng(3)
    # Few different numbers, so that windows have ties; negative ones, so that padding must not win.
    x = (0.5 * rng.integers(low, low + 12, (2, 2, 6, 7))).astype(np.float32)
    seed = rng.standard_normal((3, 2, 2, 3, 7)).astype(np.float32)
    constants = f"s = Constant <value = float {{0.5}}> () z = Constant <value = {zero}> ()"
    quantised = f"{constants} q = QuantizeLinear (x, s, z) p = {_POOL} (q) y = DequantizeLinear (p, s, z)"
    found = _gradient(quantised, x, seed)
    np.testing.assert_allclose(found, _gradient(f"y = {_POOL} (x)", x, seed), rtol=1e-6, atol=1e-6)
    assert np.count_nonzero(found), kind
