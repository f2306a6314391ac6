"""An output that copies a value is written by the operator that computes the value."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from camgraph_exporter.assemble.direct_outputs import write_directly
from camgraph_runtime.run.engine import Engine

X = np.array([[-1.0, 2.0]], np.float32)


def _graph(
    nodes: Sequence[onnx.NodeProto], outputs: Sequence[str], *, dtype: int = TensorProto.FLOAT
) -> onnx.GraphProto:
    return helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("x", dtype, [1, 2])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 2]) for name in outputs],
        [numpy_helper.from_array(np.float32(0.5), "half"), numpy_helper.from_array(np.array(True), "yes")],
    )


def _run(graph: onnx.GraphProto, x: np.ndarray = X) -> dict[str, np.ndarray]:
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    return Engine(model.SerializeToString()).run({"x": x})


def _edges(graph: onnx.GraphProto) -> list[tuple[str, list[str], list[str]]]:
    return [(node.op_type, list(node.input), list(node.output)) for node in graph.node]


def _two_readers() -> list[onnx.NodeProto]:
    return [
        helper.make_node("Relu", ["x"], ["layer"], name="maker"),
        helper.make_node("Neg", ["layer"], ["score"], name="reader"),
        helper.make_node("Identity", ["layer"], ["activations"], name="copy"),
    ]


def test_other_readers_get_the_copy_under_the_old_name() -> None:
    graph = _graph(_two_readers(), ["score", "activations"])
    before = _run(graph)
    write_directly(graph, kept=["score"])
    assert _edges(graph) == [
        ("Relu", ["x"], ["activations"]),
        ("Identity", ["activations"], ["layer"]),
        ("Neg", ["layer"], ["score"]),
    ]
    for name, array in _run(graph).items():
        np.testing.assert_array_equal(array, before[name])


def test_a_copy_that_nothing_reads_is_dropped() -> None:
    graph = _graph([_two_readers()[0], _two_readers()[2]], ["activations"])
    write_directly(graph, kept=[])
    assert _edges(graph) == [("Relu", ["x"], ["activations"])]


def test_two_outputs_may_copy_one_value() -> None:
    nodes = [*_two_readers(), helper.make_node("Identity", ["layer"], ["again"], name="copy_2")]
    graph = _graph(nodes, ["score", "activations", "again"])
    before = _run(graph)
    write_directly(graph, kept=["score"])
    after = _run(graph)
    for name, array in before.items():
        np.testing.assert_array_equal(after[name], array)


def test_outputs_of_the_source_keep_their_copies() -> None:
    graph = _graph(_two_readers(), ["score", "activations"])
    before = _edges(graph)
    write_directly(graph, kept=["score", "activations"])
    assert _edges(graph) == before


def test_a_value_that_is_an_output_itself_keeps_its_name() -> None:
    graph = _graph(_two_readers(), ["layer", "activations"])
    before = _edges(graph)
    write_directly(graph, kept=["layer"])
    assert _edges(graph) == before


def test_the_real_form_of_an_integer_stays_beside_it() -> None:
    nodes = [
        helper.make_node("DequantizeLinear", ["x", "half"], ["layer"], name="maker"),
        helper.make_node("Neg", ["layer"], ["score"], name="reader"),
        helper.make_node("Identity", ["layer"], ["activations"], name="copy"),
    ]
    graph = _graph(nodes, ["score", "activations"], dtype=TensorProto.UINT8)
    before = _edges(graph)
    write_directly(graph, kept=["score"])
    assert _edges(graph) == before


def test_a_branch_may_read_the_value() -> None:
    branches = {
        name: helper.make_graph(
            [helper.make_node(op_type, ["layer"], [name])],
            name,
            [],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 2])],
        )
        for name, op_type in (("then_branch", "Neg"), ("else_branch", "Abs"))
    }
    nodes = [_two_readers()[0], helper.make_node("If", ["yes"], ["score"], **branches), _two_readers()[2]]
    graph = _graph(nodes, ["score", "activations"])
    before = _run(graph)
    write_directly(graph, kept=["score"])
    assert [node.op_type for node in graph.node] == ["Relu", "Identity", "If"]
    for name, array in _run(graph).items():
        np.testing.assert_array_equal(array, before[name])
