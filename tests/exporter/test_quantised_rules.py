"""Every quantised operator: its gradient in onnxruntime against float64 differences of the ordinary operator."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import TensorProto, helper, numpy_helper

from camgraph_exporter.errors import GradientError
from camgraph_exporter.float64 import Float64Evaluator
from camgraph_exporter.graph.gradient_path import GradientPath
from camgraph_exporter.vjp import registry
from camgraph_exporter.vjp.backward import TARGETS, Backward
from camgraph_exporter.vjp.driver import check_rules, differentiate
from camgraph_runtime.run.engine import Engine
from exporter.quantised_cases import CASES, MICROSOFT, Activation, QuantisedCase, Weights

Arrays = dict[str, np.ndarray]
_TOLERANCE = 2e-5
_STEP = 1e-4

cases = pytest.mark.parametrize("case", CASES, ids=str)


class _Model:
    """The node of a case between quantisers and a dequantiser: float x0, x1, ... to float y."""

    def __init__(self, case: QuantisedCase, domain: str = "") -> None:
        self.case, self.domain = case, domain
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[TensorProto] = []
        self.inputs = [
            helper.make_tensor_value_info(f"x{i}", TensorProto.FLOAT, ["N", *x.shape])
            for i, x in enumerate(case.operands)
            if isinstance(x, Activation)
        ]
        self._node()
        outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
        graph = helper.make_graph(self.nodes, "case", self.inputs, outputs, self.constants)
        opsets = [helper.make_opsetid("", case.opset), helper.make_opsetid(MICROSOFT, 1)]
        self.proto = helper.make_model(graph, opset_imports=opsets, ir_version=10)

    def _constant(self, name: str, array: Any) -> str:
        self.constants.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def _operand(self, i: int) -> tuple[str, str, str]:
        x = self.case.operands[i]
        dtype = x.dtype if isinstance(x, Activation) else x.integers.dtype
        scale = self._constant(f"s{i}", np.asarray(x.scale, np.float32))
        zero = self._constant(f"z{i}", np.broadcast_to(x.zero_point, np.shape(x.scale)).astype(dtype))
        if isinstance(x, Weights):
            return self._constant(f"q{i}", x.integers), scale, zero
        self.nodes.append(helper.make_node("QuantizeLinear", [f"x{i}", scale, zero], [f"q{i}"], domain=self.domain))
        return f"q{i}", scale, zero

    def _node(self) -> None:
        case = self.case
        triples = [self._operand(i) for i in range(len(case.operands))]
        result = None
        if case.result is not None:
            scale, zero, dtype = case.result
            result = (self._constant("s", np.float32(scale)), self._constant("z", np.asarray(zero, dtype)))
        bias = [self._constant("bias", case.bias)] if case.bias is not None else []
        self.nodes.append(
            helper.make_node(
                case.op_type, self._inputs(triples, result, bias), ["q"], "node", domain=case.domain, **case.attributes
            )
        )
        if result is not None:
            self.nodes.append(helper.make_node("DequantizeLinear", ["q", *result], ["d"], domain=self.domain))
            # A product after it: the integers of the score itself are treated otherwise.
            self.nodes.append(helper.make_node("Mul", ["d", self._constant("one", np.float32(1))], ["y"]))
        elif case.op_type == "QGemm":
            self.nodes.append(helper.make_node("Identity", ["q"], ["y"]))
        else:
            product = self._constant("s", np.float32(np.prod([np.float64(x.scale) for x in case.operands])))
            self.nodes.append(helper.make_node("Cast", ["q"], ["sum"], to=TensorProto.FLOAT))
            self.nodes.append(helper.make_node("Mul", ["sum", product], ["y"]))

    def _inputs(self, triples: list[Any], result: Any, bias: list[str]) -> list[str]:
        case = self.case
        flat = [name for triple in triples for name in triple]
        if case.op_type.endswith("Integer"):
            return [triple[0] for triple in triples] + [triple[2] for triple in triples]
        if not case.op_type.startswith("Q"):
            return [triples[0][0]]
        if case.op_type == "QLinearConcat":
            return [*result, *flat]
        if case.op_type == "QGemm":
            return [*flat, *(bias or [""]), *(result or [])]
        return [*flat, *result, *bias]

    def gradient(self) -> onnx.ModelProto:
        """Return the model with inputs x.. and seed, and outputs dx.. and the integers."""
        model = ir.from_proto(self.proto)
        graph = model.graph
        self._annotate(graph)
        y = graph.outputs[0]
        shape = ir.Shape([TARGETS, *y.shape])
        seed = ir.Value(name="seed", shape=shape, type=ir.TensorType(ir.DataType.FLOAT))
        wrt = list(graph.inputs)
        graph.inputs.append(seed)
        op = Backward(graph)
        op.count_targets_by(seed, axis=0)
        path = GradientPath(list(graph), wrt, [y])
        check_rules(path, layer="x0", score="y")
        found = differentiate(op, path, {y: seed}, wrt)
        for x in wrt:
            node = ir.node("Identity", [op.full(found[x], x)])
            node.outputs[0].name = f"d{x.name}"
            node.outputs[0].type = ir.TensorType(ir.DataType.FLOAT)
            graph.append(node)
            graph.outputs.append(node.outputs[0])
        proto = ir.to_proto(model)
        for name in ["q", *(f"q{i}" for i, x in enumerate(self.case.operands) if isinstance(x, Activation))]:
            proto.graph.output.add(name=name)
        return proto

    def _annotate(self, graph: ir.Graph) -> None:
        proto = onnx.ModelProto()
        proto.CopyFrom(self.proto)
        names = [name for node in self.nodes for name in node.output]
        for name in names[:-1]:
            proto.graph.output.add(name=name)
        engine = Engine(proto.SerializeToString(), optimize=False)
        arrays = engine.run(draw(self.case, 2))
        for node in graph:
            for value in node.outputs:
                array = arrays[str(value.name)]
                value.shape = ir.Shape(["N", *array.shape[1:]])
                value.type = ir.TensorType(ir.DataType.from_numpy(array.dtype))


def draw(case: QuantisedCase, batch: int) -> Arrays:
    """Draw inputs that reach a little beyond the ranges of their quantisers."""
    rng = np.random.default_rng([batch, sum(map(ord, str(case)))])
    feeds = {}
    for i, x in enumerate(case.operands):
        if isinstance(x, Activation):
            limits = np.iinfo(x.dtype)
            middle, half = (limits.max + limits.min) / 2 - x.zero_point, (limits.max - limits.min) / 2
            wide = middle + 1.05 * half * rng.uniform(-1, 1, (batch, *x.shape))
            feeds[f"x{i}"] = (wide * x.scale).astype(np.float32)
    return feeds


def error(case: QuantisedCase, batch: int, targets: int, domain: str = "") -> float:
    """Return the largest relative error of directional derivatives along random directions."""
    model = _Model(case, domain)
    rng = np.random.default_rng(3)
    feeds = draw(case, batch)
    y = Engine(model.proto.SerializeToString()).run(feeds)["y"]
    seed = rng.standard_normal((targets, *y.shape)).astype(np.float32)
    found = Engine(model.gradient().SerializeToString()).run({**feeds, "seed": seed})
    np.testing.assert_array_equal(found["y"], y)
    real = _RealOperator(case)
    operands = real.operands(found)
    worst = 0.0
    mask = _mask(found["q"], case.blocks) if case.result is not None else 1.0
    for i, x in enumerate(case.operands):
        if isinstance(x, Activation):
            gradient = found[f"dx{i}"].astype(np.float64)
            direction = rng.standard_normal(operands[i].shape)
            moved = direction * _mask(found[f"q{i}"], (True, True))
            slope = real.slope(operands, i, moved) * mask
            expected = (seed * slope).reshape(targets, -1).sum(axis=1)
            got = (gradient * direction).reshape(targets, -1).sum(axis=1)
            worst = max(worst, float(np.max(np.abs(got - expected)) / np.sqrt((gradient**2).sum() / targets)))
    return worst


class _RealOperator:
    """The ordinary operator of a case in float64."""

    def __init__(self, case: QuantisedCase) -> None:
        self.case = case
        op_type, attributes = case.real
        names = [f"r{i}" for i in range(len(case.operands))] + (["bias"] if case.bias is not None else [])
        node = helper.make_node(op_type, names, ["y"], **attributes)
        infos = [helper.make_tensor_value_info(name, TensorProto.DOUBLE, None) for name in names]
        graph = helper.make_graph([node], "real", infos, [helper.make_tensor_value_info("y", TensorProto.DOUBLE, None)])
        self.evaluator = Float64Evaluator(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]))

    def operands(self, found: Arrays) -> list[np.ndarray]:
        """Return the real numbers that the integers of a run stand for; of equal ones the first is a little larger."""
        reals = []
        for i, x in enumerate(self.case.operands):
            if isinstance(x, Weights):
                reals.append(x.real())
                continue
            real = (found[f"q{i}"].astype(np.float64) - x.zero_point) * x.scale
            ramp = np.arange(real[0].size).reshape(real.shape[1:]) / real[0].size
            reals.append(real - x.scale * (0.3 * ramp if self.case.op_type == "MaxPool" else 1e-3))
        return reals

    def __call__(self, operands: list[np.ndarray]) -> np.ndarray:
        feeds = {f"r{i}": x for i, x in enumerate(operands)}
        if self.case.bias is not None:
            feeds["bias"] = self.case.bias * np.asarray(self.case.bias_scale, np.float64)
        return self.evaluator.run(None, feeds)[0]

    def slope(self, operands: list[np.ndarray], index: int, direction: np.ndarray) -> np.ndarray:
        """Differentiate along a direction of one operand by central differences."""
        x = self.case.operands[index]
        assert isinstance(x, Activation)
        step = _STEP * x.scale
        at = {k: self([r + k * step * direction if i == index else r for i, r in enumerate(operands)]) for k in (-1, 1)}
        return (at[1] - at[-1]) / (2 * step)


def _mask(q: np.ndarray, blocks: tuple[bool, bool]) -> np.ndarray:
    limits = np.iinfo(q.dtype)
    return ~((q == limits.min) & blocks[0] | (q == limits.max) & blocks[1])


@cases
@pytest.mark.parametrize(("batch", "targets"), [(1, 1), (3, 3)])
def test_gradient_is_that_of_the_real_operator(case: QuantisedCase, batch: int, targets: int) -> None:
    assert error(case, batch, targets) <= _TOLERANCE


_WIDE = [c for c in CASES if np.dtype(c.operands[0].dtype).itemsize == 2]  # type: ignore[union-attr]  # all have one


@pytest.mark.parametrize("case", _WIDE, ids=str)
def test_sixteen_bit_quantisers_of_older_files(case: QuantisedCase) -> None:
    assert error(dataclasses.replace(case, opset=17), 2, 2, domain=MICROSOFT) <= _TOLERANCE


@cases
def test_a_broken_rule_is_caught(case: QuantisedCase, monkeypatch: pytest.MonkeyPatch) -> None:
    """The row proves that it can fail: a rule that is off by one per mille does not pass."""
    entry = registry.named(case.op_type, case.domain)
    assert entry is not None

    def broken(op: Any, node: Any, *gs: Any) -> Any:
        assert entry.rule is not None
        result = entry.rule(op, node, *gs)
        parts = [result] if isinstance(result, ir.Value) else list(result)
        return [op.Mul(part, 1.001) if part is not None and node.needs(i) else None for i, part in enumerate(parts)]

    key = (case.domain, case.op_type)
    monkeypatch.setitem(registry._entries, key, dataclasses.replace(entry, rule=broken))
    assert error(case, 2, 1) > _TOLERANCE


def _refused(nodes: Iterator[onnx.NodeProto] | list[onnx.NodeProto], **constants: Any) -> str:
    """Return the message with which a graph x -> q -> ... -> y is refused."""
    first = helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"])
    arrays = {"s": np.float32(0.1), "z": np.uint8(3), **constants}
    graph = helper.make_graph(
        [first, *nodes],
        "refused",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 4, 6, 6])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in arrays.items()],
    )
    model = ir.from_proto(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid(MICROSOFT, 1)])
    )
    for node in model.graph:
        for value in node.outputs:
            real = value.name == "y" or str(value.name).startswith("f")
            value.type = ir.TensorType(ir.DataType.FLOAT if real else ir.DataType.UINT8)
            value.shape = ir.Shape([] if value.name == "f_scale" else ["N", 4, 6, 6])
    x, y = model.graph.inputs[0], model.graph.outputs[0]
    seed = ir.Value(name="seed", shape=ir.Shape(["T", "N", 4, 6, 6]), type=ir.TensorType(ir.DataType.FLOAT))
    model.graph.inputs.append(seed)
    op = Backward(model.graph)
    op.count_targets_by(seed, axis=0)
    path = GradientPath(list(model.graph), [x], [y])

    def derive() -> None:
        check_rules(path, layer="x", score="y")
        differentiate(op, path, {y: seed}, [x])

    with pytest.raises(GradientError) as caught:
        derive()
    return str(caught.value)


def test_plain_arithmetic_on_quantised_integers_is_refused() -> None:
    last = helper.make_node("DequantizeLinear", ["sum", "s", "z"], ["y"])
    message = _refused([helper.make_node("Add", ["q", "q"], ["sum"], name="odd"), last])
    assert message.startswith("Add node 'odd' computes with quantised integers without their scale")


def test_quantised_integers_cast_to_plain_numbers_are_refused() -> None:
    message = _refused([helper.make_node("Cast", ["q"], ["y"], name="odd", to=TensorProto.FLOAT)])
    assert message.startswith("Cast node 'odd' computes with quantised integers")


def test_a_scale_that_depends_on_the_layer_is_refused() -> None:
    nodes = [
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["f"]),
        helper.make_node("ReduceMax", ["f"], ["f_scale"], keepdims=0),
        helper.make_node("QuantizeLinear", ["f", "f_scale", "z"], ["again"], name="odd"),
        helper.make_node("DequantizeLinear", ["again", "s", "z"], ["y"]),
    ]
    assert "Input 1 of QuantizeLinear node 'odd' depends on the target layer" in _refused(nodes)


@pytest.mark.parametrize(
    ("op_type", "attributes", "message"),
    [
        ("QLinearGlobalAveragePool", {"channels_last": 1}, "channels-last form of an optimised file"),
        ("QLinearSoftmax", {"opset": 11, "axis": 1}, "runs over several axes at once"),
    ],
)
def test_unusual_forms_are_refused(op_type: str, attributes: dict[str, int], message: str) -> None:
    node = helper.make_node(op_type, ["q", "s", "z", "s", "z"], ["p"], name="odd", domain=MICROSOFT, **attributes)
    assert message in _refused([node, helper.make_node("DequantizeLinear", ["p", "s", "z"], ["y"])])
