"""A small ONNX graph in the making: values, and nodes whose outputs are inferred as they are added."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FLOAT, INT = TensorProto.FLOAT, TensorProto.INT64
DTYPES = (
    TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.UINT8, TensorProto.INT8, TensorProto.INT32,
    TensorProto.INT64, TensorProto.BOOL, TensorProto.STRING, TensorProto.BFLOAT16, TensorProto.UINT16,
)  # fmt: skip  # a table, in rows of its own
Dims = tuple[int | str, ...]
T = TypeVar("T")


@dataclass(frozen=True)
class Value:
    """A tensor of the graph in the making. `dims`: its sizes, text for a symbol."""

    name: str
    dtype: int
    dims: Dims

    @property
    def rank(self) -> int:
        return len(self.dims)

    def size(self, axis: int) -> int:
        """A size to make weights for."""
        dim = self.dims[axis]
        return max(dim, 0) if isinstance(dim, int) else 2


@dataclass
class Draft:
    """A graph in the making."""

    rng: np.random.Generator
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    weights: list[onnx.TensorProto] = field(default_factory=list)
    inputs: list[Value] = field(default_factory=list)
    values: list[Value] = field(default_factory=list)
    domains: set[str] = field(default_factory=set)
    functions: list[onnx.FunctionProto] = field(default_factory=list)

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def pick(self, choices: Sequence[T]) -> T:
        return choices[int(self.rng.integers(len(choices)))]

    def number(self, low: int, high: int) -> int:
        """An integer from low to high, both included."""
        return int(self.rng.integers(low, high + 1))

    def weight(self, array: np.ndarray) -> str:
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def random(self, *shape: int) -> str:
        return self.weight((self.rng.standard_normal(shape) * 0.5).astype(np.float32))

    def ints(self, *numbers: int) -> str:
        return self.weight(np.asarray(numbers, np.int64))

    def add(
        self, op_type: str, inputs: Sequence[str], dims: Dims, *, dtype: int = FLOAT, **attributes: object
    ) -> Value | None:
        """Append a node with one output, whose type and sizes are inferred; None for most nodes that do not fit.

        `dtype` and `dims` count where nothing can be inferred.
        """
        name = f"v{len(self.nodes)}"
        attributes = {key: value for key, value in attributes.items() if value is not None}
        domain = str(attributes.pop("domain", ""))
        node_name = "" if self.chance(0.1) else f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(op_type, list(inputs), [name], name=node_name, domain=domain, **attributes))
        if domain:
            self.domains.add(domain)
        value = Value(name, dtype, dims)
        try:
            value = self._inferred(value)
        except onnx.shape_inference.InferenceError:
            if self.chance(0.97):
                self.nodes.pop()
                return None
        self.values.append(value)
        return value

    def _inferred(self, value: Value) -> Value:
        model = self.model([], [helper.make_empty_tensor_value_info(value.name)])
        for info in model.graph.input:
            for dim in info.type.tensor_type.shape.dim:
                # A Slice of an axis of negative size ends the process in onnx's own inference of shapes.
                if dim.HasField("dim_value") and dim.dim_value < 0:
                    dim.ClearField("dim_value")
        known = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True).graph.output[0]
        tensor = known.type.tensor_type
        if not tensor.elem_type:
            return value
        if not tensor.HasField("shape"):
            return Value(value.name, tensor.elem_type, value.dims)
        sizes = (dim.dim_value if dim.HasField("dim_value") else dim.dim_param for dim in tensor.shape.dim)
        return Value(value.name, tensor.elem_type, tuple(sizes))

    def model(
        self, more_inputs: Sequence[onnx.ValueInfoProto], outputs: Sequence[onnx.ValueInfoProto], opset: int = 17
    ) -> onnx.ModelProto:
        """The graph so far, with these outputs."""
        infos = [helper.make_tensor_value_info(v.name, v.dtype, v.dims) for v in self.inputs]
        graph = helper.make_graph(self.nodes, "random", [*infos, *more_inputs], outputs, self.weights)
        opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(d, 1) for d in sorted(self.domains))]
        return helper.make_model(graph, opset_imports=opsets, functions=self.functions, producer_name="fuzz")
