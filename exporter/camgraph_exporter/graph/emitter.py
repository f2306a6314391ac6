"""Appends standard ONNX operators to a graph: `op.Mul(g, x)` adds a node and returns its output.

The emitter keeps what a rule author should not have to think about: the opset's spelling of axes, constants (shared,
and folded when an operator has only constant inputs), shapes, names that tell where a node came from, and common
subexpressions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir

from camgraph_exporter.graph.dims import Dim, Dims, dims_of, static, unknown
from camgraph_exporter.graph.evaluate import evaluate_node
from camgraph_exporter.graph.standard_operators import Argument, StandardOperators
from camgraph_exporter.graph.traits import Trait, named

# Larger results of constant operators stay nodes: every runtime folds them at load, and the file keeps one copy of the
# weights.
_FOLD_LIMIT = 4096

# Before this opset the inference of these operators says nothing, not even a rank, of a shape computed at run time.
_INFERS_FROM = {"Reshape": 14}


class Emitter(StandardOperators):
    """Appends nodes to `graph` at the graph's own opset.

    `op.<OpType>(*inputs, **attributes)` emits any operator of ai.onnx and returns its first output, with the signature
    that the standard gives it. Python and NumPy numbers among the inputs become constants in the element type of the
    first tensor input.
    """

    def __init__(self, graph: ir.Graph, *, prefix: str = "camgraph") -> None:
        self.graph = graph
        self.opset = int(graph.opset_imports[""])
        self.nodes: list[ir.Node] = []
        self._prefix = prefix
        self._scope = prefix
        self._names = {value.name for node in graph for value in node.outputs}
        self._names |= {value.name for value in graph.inputs} | set(graph.initializers)
        self._counts: dict[str, int] = {}
        self._constants: dict[tuple[Any, ...], ir.Value] = {}
        self._arrays: dict[ir.Value, np.ndarray[Any, Any]] = {}
        self._emitted: dict[tuple[Any, ...], tuple[ir.Value, ...]] = {}

    # --- emitting -----------------------------------------------------------------------------------------------

    def emit(
        self, op_type: str, inputs: Sequence[Argument], attributes: dict[str, Any] | None = None, *, outputs: int = 1
    ) -> tuple[ir.Value, ...]:
        """Append one node of `op_type` and return its outputs; an equal node that exists already is used again."""
        attributes = {name: value for name, value in (attributes or {}).items() if value is not None}
        values = self._as_values(inputs)
        if named(op_type).traits & Trait.ARITHMETIC:
            values = self._with_trailing_axes(values)
        key = (op_type, values, tuple(sorted((k, repr(v)) for k, v in attributes.items())), outputs)
        if key not in self._emitted:
            folded = self._fold(op_type, values, attributes, outputs)
            self._emitted[key] = folded or self._append(op_type, values, attributes, outputs)
        return self._emitted[key]

    @contextmanager
    def scope(self, name: str) -> Iterator[None]:
        """Name the nodes that are emitted inside after the source node that they belong to."""
        previous, self._scope = self._scope, f"{self._prefix}/{name}"
        try:
            yield
        finally:
            self._scope = previous

    def _append(
        self, op_type: str, values: tuple[ir.Value | None, ...], attributes: dict[str, Any], outputs: int
    ) -> tuple[ir.Value, ...]:
        name = self._unique(f"{self._scope}/{op_type}")
        suffixes = [""] if outputs == 1 else [f":{i}" for i in range(outputs)]
        results = tuple(ir.Value(name=self._claim(f"{name}_output{suffix}")) for suffix in suffixes)
        node = ir.node(op_type, values, attributes, outputs=results, name=name)
        self._infer(node)
        self.graph.append(node)
        self.nodes.append(node)
        return results

    def _as_values(self, inputs: Sequence[Argument]) -> tuple[ir.Value | None, ...]:
        like = next((x.dtype for x in inputs if isinstance(x, ir.Value) and x.dtype is not None), None)
        return tuple(self._as_value(x, like) for x in inputs)

    def _as_value(self, operand: Argument, like: ir.DataType | None) -> ir.Value | None:
        if operand is None or isinstance(operand, ir.Value):
            return operand
        if isinstance(operand, np.ndarray):
            return self.constant(operand)
        dtype = like.numpy() if like is not None else np.dtype(np.float32)
        return self.constant(np.asarray(operand, dtype=dtype))

    def _with_trailing_axes(self, values: tuple[ir.Value | None, ...]) -> tuple[ir.Value | None, ...]:
        """Give constant scalars the rank of what they meet where that ends in an axis of size 1.

        onnxruntime walks [..., K, 1, 1] element by element against a scalar of lower rank, ten times slower.
        """
        thin = [dims_of(x) for x in values if x is not None and x.shape is not None and self.known(x) is None]
        rank = max((len(dims) for dims in thin if dims and dims[-1] == 1), default=0)
        arrays = [self.known(x) if x is not None and _is_small(x) else None for x in values]
        return tuple(
            x if array is None or array.size != 1 or array.ndim >= rank else self.constant(array.reshape([1] * rank))
            for x, array in zip(values, arrays, strict=True)
        )

    def _unique(self, stem: str) -> str:
        count = self._counts.get(stem, 0)
        self._counts[stem] = count + 1
        return stem if count == 0 else f"{stem}_{count}"

    def _claim(self, name: str) -> str:
        while name in self._names:
            name += "_"
        self._names.add(name)
        return name

    def residual(self, value: ir.Value) -> ir.Value:
        """Return what stands for a value of the source where emitted operators read it: here the value itself."""
        return value

    # --- constants ----------------------------------------------------------------------------------------------

    def constant(self, array: np.ndarray[Any, Any]) -> ir.Value:
        """Return an initializer with these elements; equal constants are shared."""
        array = np.asarray(array)
        key = (array.dtype.str, array.dtype.name, array.shape, array.tobytes())
        if key not in self._constants:
            name = self._claim(self._unique(f"{self._prefix}/constant"))
            tensor = ir.tensor(array, name=name)
            value = ir.Value(
                name=name, shape=ir.Shape(array.shape), type=ir.TensorType(tensor.dtype), const_value=tensor
            )
            self.graph.register_initializer(value)
            self._constants[key] = value
            self._arrays[value] = array
        return self._constants[key]

    def ints(self, *numbers: int) -> ir.Value:
        """Return an int64 vector, as axes and shapes want it."""
        return self.constant(np.asarray(numbers, dtype=np.int64))

    def know(self, value: ir.Value, array: np.ndarray[Any, Any]) -> None:
        """Remember that a value of the source is constant, so that operators on it can be folded."""
        self._arrays[value] = array

    def known(self, value: ir.Value | None) -> np.ndarray[Any, Any] | None:
        """Return the elements of a value if they are known at export time."""
        if value is None:
            return None
        if value not in self._arrays and value.const_value is not None and value.is_initializer():
            self._arrays[value] = value.const_value.numpy()
        return self._arrays.get(value)

    def _fold(
        self, op_type: str, values: tuple[ir.Value | None, ...], attributes: dict[str, Any], outputs: int
    ) -> tuple[ir.Value, ...] | None:
        arrays = [self.known(value) if value is not None and _is_small(value) else None for value in values]
        if any(array is None for array, value in zip(arrays, values, strict=True) if value is not None):
            return None
        # Runtimes differ in how they round coordinates, so the one that runs the forward operator is to compute these.
        if (not values and op_type != "Constant") or named(op_type).traits & Trait.COORDINATES:
            return None
        node = ir.node(
            op_type,
            [ir.Value(name=f"x{i}") if v is not None else None for i, v in enumerate(values)],
            attributes,
            num_outputs=outputs,
        )
        results = evaluate_node(node, arrays, self.opset)
        if not all(isinstance(array, np.ndarray | np.generic) and array.size <= _FOLD_LIMIT for array in results):
            return None
        return tuple(self.constant(np.asarray(array)) for array in results)

    # --- shapes -------------------------------------------------------------------------------------------------

    def _infer(self, node: ir.Node) -> None:
        """Set element types and shapes of a new node's outputs from those of its inputs, by ONNX's own inference."""
        names = {value: f"x{i}" for i, value in enumerate(node.inputs) if value is not None}
        types = {names[value]: _type_proto(value) for value in names}
        data = {}
        for value, name in names.items():
            array = self.known(value)
            if array is not None and array.size <= _FOLD_LIMIT and array.dtype != object:
                data[name] = onnx.numpy_helper.from_array(array, name)
        proto = ir.to_proto(node)
        proto.input[:] = [names[value] if value is not None else "" for value in node.inputs]
        version = max(self.opset, _INFERS_FROM.get(node.op_type, 0))
        schema = onnx.defs.get_schema(node.op_type, version, node.domain)
        inferred = onnx.shape_inference.infer_node_outputs(
            schema, proto, types, data, opset_imports=[onnx.helper.make_opsetid("", self.opset)]
        )
        for value in node.outputs:
            proto_type = inferred[str(value.name)].tensor_type
            value.type = ir.TensorType(ir.DataType(proto_type.elem_type))
            if proto_type.HasField("shape"):
                value.shape = ir.Shape([_dim(d) for d in proto_type.shape.dim])

    def shape_of(self, x: ir.Value) -> ir.Value:
        """Return the shape of `x` as int64 [rank]; a constant where it is static."""
        known = static(dims_of(x)) if x.shape is not None else None
        return self.ints(*known) if known is not None else self.Shape(x)

    def size_of(self, x: ir.Value, axes: Sequence[int]) -> ir.Value | int:
        """Return the product of some dimensions of `x`: a number, or an int64 scalar where they are dynamic."""
        known = static([dims_of(x)[axis] for axis in axes])
        if known is not None:
            return int(np.prod(known, dtype=np.int64))
        picked = self.Gather(self.shape_of(x), self.ints(*[axis % len(dims_of(x)) for axis in axes]), axis=0)
        return self.reduce_all("ReduceProd", picked)

    # --- operators whose spelling depends on the opset -----------------------------------------------------------

    def reduce(self, op_type: str, x: ir.Value, axes: Sequence[int], *, keepdims: bool) -> ir.Value:
        """Reduce over `axes` (`ReduceSum`, `ReduceMean`, ...); no axes means no operation."""
        if not axes:
            return x
        axes_as_input = self.opset >= (13 if op_type == "ReduceSum" else 18)
        if axes_as_input:
            return self.emit(op_type, (x, self.ints(*axes)), {"keepdims": int(keepdims)})[0]
        return self.emit(op_type, (x,), {"axes": list(axes), "keepdims": int(keepdims)})[0]

    def reduce_all(self, op_type: str, x: ir.Value) -> ir.Value:
        """Reduce over all axes to a scalar."""
        return self.emit(op_type, (x,), {"keepdims": 0})[0]

    def sum(self, x: ir.Value, axes: Sequence[int], *, keepdims: bool = False) -> ir.Value:
        """Sum over `axes`."""
        return self.reduce("ReduceSum", x, axes, keepdims=keepdims)

    def mean(self, x: ir.Value, axes: Sequence[int], *, keepdims: bool = False) -> ir.Value:
        """Mean over `axes`."""
        return self.reduce("ReduceMean", x, axes, keepdims=keepdims)

    def cast(self, x: ir.Value, dtype: ir.DataType) -> ir.Value:
        """Cast unless `x` has the element type already."""
        return x if x.dtype == dtype else self.Cast(x, to=int(dtype))

    def indicator(self, condition: ir.Value, like: ir.Value) -> ir.Value:
        """Return 1 where the condition holds and 0 elsewhere, in the element type of `like`."""
        assert like.dtype is not None
        return self.Cast(condition, to=int(like.dtype))

    def above_zero(self, y: ir.Value) -> ir.Value:
        """Tell where a value that is never negative is not zero: a cast to bool is cheaper than a comparison."""
        return self.Cast(y, to=int(ir.DataType.BOOL))

    def gate(self, x: ir.Value, condition: ir.Value) -> ir.Value:
        """Keep `x` where the condition holds, zero elsewhere.

        A product with the cast condition: onnxruntime's Where is about nine times slower than this on CPU.
        """
        return self.Mul(x, self.indicator(condition, x))


def _is_small(value: ir.Value) -> bool:
    dims = static(dims_of(value)) if value.shape is not None else None
    return dims is not None and int(np.prod(dims, dtype=np.int64)) <= _FOLD_LIMIT


def _dim(proto: onnx.TensorShapeProto.Dimension) -> Dim:
    if proto.HasField("dim_value"):
        return int(proto.dim_value)
    return proto.dim_param or unknown()


def _type_proto(value: ir.Value) -> onnx.TypeProto:
    assert value.dtype is not None, f"The element type of {value.name!r} is not known."
    dims: Dims | None = dims_of(value) if value.shape is not None else None
    return onnx.helper.make_tensor_type_proto(int(value.dtype), dims)
