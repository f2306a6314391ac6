"""An If whose condition is the same in every run is replaced by the branch that it takes."""

from __future__ import annotations

import numpy as np
import onnx
import onnx.parser
import onnx_ir as ir
import pytest
from onnx.reference import ReferenceEvaluator

from camgraph_exporter.errors import GradientError
from camgraph_exporter.graph.gradient_path import GradientPath
from camgraph_exporter.graph.passes import run
from camgraph_exporter.prepare.branches import InlineConstantBranchesPass
from camgraph_exporter.prepare.prepare import normalising
from camgraph_exporter.vjp.driver import check_rules

_HEADER = """<ir_version: 8, opset_import: ["" : 17]>
agraph (float[N, 3, 4] x) => (float[N, 3, 4] y)
"""
_BRANCHES = """
    y = If (condition) <
        then_branch = yes () => (a) { t = Relu (x)  a = Neg (t) },
        else_branch = no () => (b) { t = Exp (x)  b = Add (t, x) }
    >
"""


def _model(body: str, header: str = _HEADER) -> onnx.ModelProto:
    model = onnx.parser.parse_model(header + "{" + body + "}")
    onnx.checker.check_model(model)
    return model


def _inlined(proto: onnx.ModelProto) -> ir.Model:
    model = ir.from_proto(proto)
    InlineConstantBranchesPass()(model)
    return model


def _operators(model: ir.Model) -> list[str]:
    return [node.op_type for node in model.graph]


def _check_same_result(proto: onnx.ModelProto, model: ir.Model) -> None:
    after = ir.to_proto(model)
    onnx.checker.check_model(after)
    assert [output.name for output in after.graph.output] == [output.name for output in proto.graph.output]
    x = np.random.default_rng(0).standard_normal((2, 3, 4)).astype(np.float32)
    for a, b in zip(
        ReferenceEvaluator(proto).run(None, {"x": x}), ReferenceEvaluator(after).run(None, {"x": x}), strict=True
    ):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("condition", "taken"),
    [
        ("condition = Constant <value = bool {1}> ()", "Relu"),
        ("condition = Constant <value = bool {0}> ()", "Exp"),
        (
            "a0 = Constant <value = float {2.0}> () b0 = Constant <value = float {3.0}> () condition = Less (a0, b0)",
            "Relu",
        ),
        (
            (
                "s = Shape (x) i = Constant <value = int64 {1}> () c = Gather (s, i) "
                "k = Constant <value = int64 {3}> () condition = Equal (c, k)"
            ),
            "Relu",
        ),
        (
            (
                "s = Shape <start = 1> (x) n = ReduceProd <keepdims = 0> (s) "
                "k = Constant <value = int64 {12}> () e = Equal (n, k) condition = Not (e)"
            ),
            "Exp",
        ),
    ],
)
def test_known_conditions(condition: str, taken: str) -> None:
    proto = _model(condition + _BRANCHES)
    model = _inlined(proto)
    assert "If" not in _operators(model)
    assert taken in _operators(model)
    _check_same_result(proto, model)


@pytest.mark.parametrize(
    "condition",
    [
        "m = ReduceMax <keepdims = 0> (x) z = Constant <value = float {0.0}> () condition = Greater (m, z)",
        (
            "s = Shape (x) i = Constant <value = int64 {0}> () c = Gather (s, i) "
            "k = Constant <value = int64 {1}> () condition = Equal (c, k)"
        ),
        "z = Size (x) k = Constant <value = int64 {12}> () condition = Equal (z, k)",
    ],
    ids=["values", "batch", "size"],
)
def test_conditions_that_depend_on_the_input_stay(condition: str) -> None:
    proto = _model(condition + _BRANCHES)
    model = _inlined(proto)
    assert "If" in _operators(model)
    _check_same_result(proto, model)


def test_a_remaining_if_is_refused_by_name() -> None:
    body = (
        "m = ReduceMax <keepdims = 0> (x) z = Constant <value = float {0.0}> () condition = Greater (m, z) h = Relu (x)"
    )
    model = ir.from_proto(_model(body + _BRANCHES.replace("Relu (x)", "Relu (h)").replace("Add (t, x)", "Add (t, h)")))
    values = {value.name: value for node in model.graph for value in node.outputs}
    for value in values.values():
        value.type = ir.TensorType(ir.DataType.FLOAT)
    with pytest.raises(GradientError, match=r"If .*'y'"):
        check_rules(GradientPath(list(model.graph), [values["h"]], [values["y"]]), layer="h", score="y")


def test_nested_branches_equal_names_and_values_from_outside() -> None:
    header = """<ir_version: 8, opset_import: ["" : 17]>
    agraph (float[N, 3, 4] x) => (float[N, 3, 4] y, float[N, 3, 4] z)
    <float[1] w = {2.0}>
    """
    body = """
        t = Mul (x, w)
        condition = Constant <value = bool {1}> ()
        q, z = If (condition) <
            then_branch = outer () => (p, x) {
                inner_condition = Constant <value = bool {0}> ()
                p = If (inner_condition) <
                    then_branch = unused () => (u) { u = Neg (t) },
                    else_branch = taken () => (v) { k = Constant <value = float {3.0}> () v = Add (t, k) }
                >
            },
            else_branch = other () => (p2, x2) { p2 = Neg (t) x2 = Exp (t) }
        >
        y = Sub (q, t)
    """
    proto = onnx.parser.parse_model(header + "{" + body + "}")
    model = _inlined(proto)
    assert "If" not in _operators(model)
    _check_same_result(proto, model)


def test_the_preparation_inlines() -> None:
    model = ir.from_proto(_model("condition = Constant <value = bool {1}> ()" + _BRANCHES))
    run(normalising(), model)
    assert _operators(model) == ["Relu", "Neg", "Identity"]
