"""Builds the gradient graph of one operator case and evaluates it: the machinery behind every check on a rule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import onnx
import onnx_ir as ir
from onnx import TensorProto, helper, numpy_helper
from onnx_ir.passes import common

from camgraph_exporter.float64 import Float64Evaluator
from camgraph_exporter.graph.dims import Dim
from camgraph_exporter.graph.gradient_path import GradientPath
from camgraph_exporter.vjp.backward import TARGETS, Backward
from camgraph_exporter.vjp.driver import differentiate, without_rule
from camgraph_runtime.run.engine import Engine
from exporter.op_cases.case import Fed, Input, OpCase

SEED = "seed"
# How much larger the dynamic sizes are in the run that tells them from static ones.
GROWTH = 4
Arrays = dict[str, np.ndarray]


def forward_model(case: OpCase, dtype: type[np.floating]) -> onnx.ModelProto:
    """Return a model of the single node; constants are cast to `dtype` if they are real."""
    element = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    names, inputs, constants = [], [], []
    for i, item in enumerate(case.inputs):
        names.append(f"x{i}" if item is not None else "")
        if isinstance(item, Input):
            inputs.append(helper.make_tensor_value_info(f"x{i}", element, _symbolic(item, case)))
        elif isinstance(item, Fed):
            real = TensorProto.FLOAT if _keeps_float32(case, i) else element
            inputs.append(_fed_info(f"x{i}", item, real))
        elif item is not None:
            array = np.asarray(item)
            array = (
                array.astype(dtype)
                if np.issubdtype(array.dtype, np.floating) and not _keeps_float32(case, i)
                else array
            )
            constants.append(numpy_helper.from_array(array, f"x{i}"))
    outputs = [f"y{i}" for i in range(case.outputs)]
    node = helper.make_node(case.op_type, names, outputs, name="node", domain=case.domain, **case.attributes)
    infos = [onnx.ValueInfoProto(name=name) for name in outputs]
    graph = helper.make_graph([node], "case", inputs, infos, constants)
    opsets = [helper.make_opsetid("", case.opset)] + ([helper.make_opsetid(case.domain, 1)] if case.domain else [])
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def _keeps_float32(case: OpCase, index: int) -> bool:
    """Scales and regions of Resize are float32 in any model."""
    return case.op_type in {"Resize", "Upsample"} and index in {1, 2}


def _fed_info(name: str, item: Fed, element: int) -> onnx.ValueInfoProto:
    arrays = [item.values(batch, growth) for batch, growth in ((2, 0), (3, 0), (2, GROWTH))]
    dims = [a if len({a, *rest}) == 1 else f"{name}_{a}" for a, *rest in zip(*(x.shape for x in arrays), strict=True)]
    real = np.issubdtype(arrays[0].dtype, np.floating)
    return helper.make_tensor_value_info(
        name, element if real else helper.np_dtype_to_tensor_dtype(arrays[0].dtype), dims
    )


def _symbolic(item: Input, case: OpCase) -> list[int | str]:
    dims = list(item.shape)
    return [f"s{axis}_{dim}" if case.dynamic and axis >= 2 else dim for axis, dim in enumerate(dims)]


def draw(case: OpCase, batch: int, seed: int = 0) -> Arrays:
    """Draw the differentiated inputs, float64, and those that are fed beside them."""
    rng = np.random.default_rng([seed, batch, sum(map(ord, case.id))])
    feeds = {}
    for i, item in enumerate(case.inputs):
        if isinstance(item, Input):
            feeds[f"x{i}"] = item.sample(rng, batch)
        elif isinstance(item, Fed):
            feeds[f"x{i}"] = item.values(batch, 0)
    return feeds


def in_precision(feeds: Mapping[str, np.ndarray], dtype: type[np.floating]) -> Arrays:
    """Cast the real arrays among the feeds."""
    return {
        name: array.astype(dtype) if np.issubdtype(array.dtype, np.floating) else array for name, array in feeds.items()
    }


def forward(case: OpCase, feeds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """Evaluate the node in float64."""
    return _forward_evaluator(case).run([f"y{i}" for i in case.used], dict(feeds))


@lru_cache(maxsize=4)
def _forward_evaluator(case: OpCase) -> Float64Evaluator:
    return Float64Evaluator(forward_model(case, np.float64))


@dataclass(frozen=True)
class Gradient:
    """The gradient graph of a case: inputs x.. and seed.., outputs dx.., and the nodes that the rule emitted."""

    model: onnx.ModelProto
    emitted: list[onnx.NodeProto]

    @cached_property
    def evaluator(self) -> Float64Evaluator:
        return Float64Evaluator(self.model)


@lru_cache(maxsize=8)  # the tests of a case follow one another
def gradient_model(case: OpCase, dtype: type[np.floating], *, lazy: bool = False, portable: bool = False) -> Gradient:
    """Differentiate the case's node: a graph from the inputs and one seed an output to dx of every Input.

    `lazy` seeds have size 1 on their spatial axes.
    """
    model = ir.from_proto(forward_model(case, dtype))
    graph = model.graph
    element = ir.DataType.from_numpy(np.dtype(dtype))
    _annotate(case, graph, element)
    node = next(iter(graph))
    seeds = [_seed_input(graph, node.outputs[i], f"{SEED}{i}", element, lazy=lazy) for i in case.used]
    op = Backward(graph, portable=portable)
    op.count_targets_by(seeds[0], axis=0)
    wrt = [value for value in graph.inputs if value.name in differentiated(case)]
    path = GradientPath(list(graph), wrt, [node.outputs[i] for i in case.used])
    assert not without_rule(path), f"{case.op_type} has no rule"
    cotangents = differentiate(op, path, {node.outputs[i]: seed for i, seed in zip(case.used, seeds, strict=True)}, wrt)
    graph.outputs.clear()
    for value in wrt:
        identity = ir.node("Identity", [op.full(cotangents[value], value)], name=f"out_{value.name}")
        identity.outputs[0].name = f"d{value.name}"
        identity.outputs[0].type, identity.outputs[0].shape = (
            ir.TensorType(element),
            ir.Shape([TARGETS, *value.shape]),
        )
        graph.append(identity)
        graph.outputs.append(identity.outputs[0])
    common.RemoveUnusedNodesPass()(model)
    proto = ir.to_proto(model)
    return Gradient(proto, [node for node in proto.graph.node if node.name != "node"])


def differentiated(case: OpCase) -> list[str]:
    """Return the names of the inputs that the gradient is taken of."""
    return [f"x{i}" for i, item in enumerate(case.inputs) if isinstance(item, Input)]


def _annotate(case: OpCase, graph: ir.Graph, element: ir.DataType) -> None:
    """Set the shapes of the node's outputs: sizes that differ between two runs are symbols."""
    runs = [_forward_evaluator(case).run(None, _grown(case, batch)) for batch in (2, 3)]
    for i, value in enumerate(next(iter(graph)).outputs):
        first, second = runs[0][i], runs[1][i]
        value.shape = ir.Shape(
            [_dim(a, b, axis) for axis, (a, b) in enumerate(zip(first.shape, second.shape, strict=True))]
        )
        value.type = ir.TensorType(
            element if np.issubdtype(first.dtype, np.floating) else ir.DataType.from_numpy(first.dtype)
        )


def _grown(case: OpCase, batch: int) -> Arrays:
    feeds = draw(case, batch)
    if not case.dynamic or batch == 2:
        return feeds
    for i, item in enumerate(case.inputs):
        name = f"x{i}"
        if isinstance(item, Input):
            x = feeds[name]
            feeds[name] = np.pad(x, [(0, 0)] * 2 + [(0, GROWTH)] * (x.ndim - 2), mode="edge")
        elif isinstance(item, Fed):
            feeds[name] = item.values(batch, GROWTH)
    return feeds


def _dim(a: int, b: int, axis: int) -> Dim:
    return a if a == b else "N" if (a, b) == (2, 3) else f"y{axis}_{a}_{b}"


def _seed_input(graph: ir.Graph, y: ir.Value, name: str, element: ir.DataType, *, lazy: bool) -> ir.Value:
    assert y.shape is not None
    dims = [1 if lazy and axis >= 2 else dim for axis, dim in enumerate(y.shape)]
    seed = ir.Value(name=name, shape=ir.Shape([TARGETS, *dims]), type=ir.TensorType(element))
    graph.inputs.append(seed)
    return seed


def draw_seeds(case: OpCase, outputs: list[np.ndarray], targets: int, *, lazy: bool = False) -> Arrays:
    """Draw one cotangent [T, ...] for each used output."""
    rng = np.random.default_rng([targets, sum(map(ord, case.id))])
    seeds = {}
    for index, y in zip(case.used, outputs, strict=True):
        shape = [1 if lazy and axis >= 2 else size for axis, size in enumerate(y.shape)]
        seeds[f"{SEED}{index}"] = rng.standard_normal((targets, *shape))
    return seeds


def gradients(gradient: Gradient, feeds: Mapping[str, np.ndarray]) -> Arrays:
    """Evaluate a float64 gradient graph."""
    names = [output.name for output in gradient.model.graph.output]
    return dict(zip(names, gradient.evaluator.run(names, dict(feeds)), strict=True))


def assert_float32_agrees(case: OpCase, engine: Engine) -> None:
    """Holds what an engine makes of the case's float32 gradient graph against the graph in float64."""
    exact = gradient_model(case, np.float64)
    for batch, targets in [(1, 1), (1, 3), (3, 1), (3, 3)]:
        feeds = draw(case, batch)
        feeds |= draw_seeds(case, forward(case, feeds), targets)
        found = engine.run(in_precision(feeds, np.float32))
        expected = gradients(exact, in_precision(in_precision(feeds, np.float32), np.float64))
        for name, array in expected.items():
            assert found[name].shape == array.shape
            assert np.linalg.norm(found[name] - array) <= case.float32_tolerance * max(np.linalg.norm(array), 1e-12)


def finite_difference_error(case: OpCase, found: Arrays, feeds: Arrays, seeds: Arrays, *, step: float = 1e-5) -> float:
    """Compare gradients with central differences along random directions; return the largest relative error.

    d/dh sum(seed * y(x + h d)) at h = 0 must equal sum(dx * d). Fourth-order central differences keep the truncation
    error below the tolerance.
    """
    rng = np.random.default_rng(7)
    worst = 0.0
    for name in differentiated(case):
        x = feeds[name]
        for _ in range(3):
            direction = rng.standard_normal(x.shape)
            ys = {k: forward(case, {**feeds, name: x + k * step * direction}) for k in (-2, -1, 1, 2)}
            slope = [(ys[-2][i] - 8 * ys[-1][i] + 8 * ys[1][i] - ys[2][i]) / (12 * step) for i in range(len(case.used))]
            for t in range(next(iter(seeds.values())).shape[0]):
                expected = sum(
                    float((seeds[f"{SEED}{index}"][t] * slope[i]).sum()) for i, index in enumerate(case.used)
                )
                got = float((found[f"d{name}"][t] * direction).sum())
                scale = np.linalg.norm(found[f"d{name}"][t]) * np.linalg.norm(direction) / np.sqrt(direction.size)
                worst = max(worst, abs(got - expected) / max(scale, abs(expected), 1e-12))
    return worst


def standard_operators_only(gradient: Gradient) -> bool:
    """Tell whether every emitted node is of ai.onnx and known to the checker."""
    onnx.checker.check_model(gradient.model)
    return all(node.domain == "" for node in gradient.emitted)


def may_lose_sums(node: onnx.NodeProto) -> bool:
    """Tell whether onnxruntime may lose some of what a node adds up: its ScatterND adds from several threads."""
    return node.op_type == "ScatterND" and any(attribute.name == "reduction" for attribute in node.attribute)
