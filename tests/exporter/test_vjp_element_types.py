"""Gradients through changes of the element type, and through operators at which they stop."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from camgraph_exporter.graph.gradient_path import GradientPath
from camgraph_exporter.vjp.backward import Backward
from camgraph_exporter.vjp.driver import differentiate
from camgraph_runtime.run.engine import Engine

_X = np.array([[-2.5, -0.3, 0.7, 1.9]], dtype=np.float32)


def _gradient(body: str) -> np.ndarray | None:
    """Return d sum(y) / dx of the graph `body` in onnxruntime, or None where x does not reach y."""
    text = f'<ir_version: 10, opset_import: ["" : 19]> case (float[N, 4] x) => (float[N, 4] y) {{ {body} }}'
    proto = onnx.shape_inference.infer_shapes(onnx.parser.parse_model(text))
    model = ir.from_proto(proto)
    graph = model.graph
    x, y = graph.inputs[0], graph.outputs[0]
    seed = ir.Value(name="seed", shape=ir.Shape(["T", "N", 4]), type=ir.TensorType(ir.DataType.FLOAT))
    graph.inputs.append(seed)
    op = Backward(graph)
    op.count_targets_by(seed, axis=0)
    found = differentiate(op, GradientPath(list(graph), [x], [y]), {y: seed}, [x])
    if not found:
        return None
    assert found[x].dtype == ir.DataType.FLOAT
    graph.outputs.append(found[x])
    engine = Engine(ir.to_proto(model).SerializeToString())
    outputs = engine.run({"x": _X, "seed": np.ones((2, 1, 4), dtype=np.float32)})
    return outputs[str(found[x].name)]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("h = Cast <to = 10> (x) q = Mul (h, h) y = Cast <to = 1> (q)", 2 * _X),
        ("h = Cast <to = 16> (x) y = Cast <to = 1> (h)", np.ones_like(_X)),
        ("d = Cast <to = 11> (x) e = Exp (d) y = Cast <to = 1> (e)", np.exp(_X)),
        ("d = Cast <to = 11> (x) s = Sin (d) y = CastLike (s, x)", np.cos(_X)),
        # Truncation to a whole number is a step function; what goes around it counts.
        ("i = Cast <to = 7> (x) r = Cast <to = 1> (i) y = Mul (x, r)", np.trunc(_X)),
        ("f = Floor (x) y = Mul (x, f)", np.floor(_X)),
        ("p = Greater (x, x) r = Cast <to = 1> (p) y = Add (x, r)", np.ones_like(_X)),
    ],
)
def test_gradient_passes(body: str, expected: np.ndarray) -> None:
    found = _gradient(body)
    assert found is not None
    np.testing.assert_allclose(found, np.broadcast_to(expected, (2, 1, 4)), rtol=2e-3)


@pytest.mark.parametrize(
    "body",
    [
        "i = Cast <to = 7> (x) y = Cast <to = 1> (i)",
        "i = Cast <to = 3> (x) y = Cast <to = 1> (i)",
        "b = Cast <to = 9> (x) y = Cast <to = 1> (b)",
        "y = Floor (x)",
        "y = Ceil (x)",
        "y = Round (x)",
        "y = Sign (x)",
        "y = Hardmax (x)",
        "n = IsNaN (x) y = Cast <to = 1> (n)",
    ],
)
def test_gradient_stops(body: str) -> None:
    assert _gradient(body) is None
