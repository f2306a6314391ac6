"""Small random ONNX graphs, and small graphs that are broken in random places."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

_FLOAT, _INT = TensorProto.FLOAT, TensorProto.INT64
_DTYPES = (
    TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.UINT8, TensorProto.INT8, TensorProto.INT32,
    TensorProto.INT64, TensorProto.BOOL, TensorProto.STRING, TensorProto.BFLOAT16, TensorProto.UINT16,
)  # fmt: skip  # a table, in rows of its own
Dims = tuple[int | str, ...]


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

    def pick(self, choices: Sequence[object]) -> object:
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
        self, op_type: str, inputs: Sequence[str], dims: Dims, *, dtype: int = _FLOAT, **attributes: object
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


Maker = Callable[[Draft, Value], Value | None]


def _conv(draft: Draft, x: Value) -> Value | None:
    if x.rank != 4:
        return None
    channels, kernel, stride = draft.number(1, 6), draft.number(1, 3), draft.number(1, 2)
    w = draft.random(channels, x.size(1), kernel, kernel)
    pads = [kernel // 2] * 4 if draft.chance(0.7) else None
    auto = "SAME_UPPER" if pads is None and draft.chance(0.4) else None
    shape = tuple(dim if isinstance(dim, str) else max(1, dim // stride) for dim in x.dims[2:])
    bias = [draft.random(channels)] if draft.chance(0.5) else []
    return draft.add(
        "Conv", [x.name, w, *bias], (x.dims[0], channels, *shape), strides=[stride] * 2, pads=pads, auto_pad=auto
    )


def _pool(draft: Draft, x: Value) -> Value | None:
    if x.rank != 4:
        return None
    if draft.chance(0.3):
        op_type = str(draft.pick(["GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"]))
        return draft.add(op_type, [x.name], (*x.dims[:2], 1, 1))
    shape = tuple(dim if isinstance(dim, str) else max(1, dim // 2) for dim in x.dims[2:])
    op_type = str(draft.pick(["MaxPool", "AveragePool", "LpPool"]))
    kernel = draft.number(1, 3)
    ceil = 1 if op_type != "LpPool" and draft.chance(0.3) else None
    return draft.add(
        op_type, [x.name], (*x.dims[:2], *shape), kernel_shape=[kernel] * 2, strides=[2, 2], ceil_mode=ceil
    )


def _unary(draft: Draft, x: Value) -> Value | None:
    names = (
        "Relu", "Sigmoid", "Tanh", "LeakyRelu", "Elu", "Selu", "Softplus", "HardSigmoid", "HardSwish", "Exp", "Log",
        "Sqrt", "Abs", "Neg", "Sign", "Floor", "Round", "Erf", "Reciprocal", "Identity", "Dropout", "Softmax",
        "LogSoftmax", "LpNormalization", "Sin", "Mish", "Celu", "ThresholdedRelu", "Shrink", "Softsign", "Ceil",
        "MeanVarianceNormalization",
    )  # fmt: skip  # a table, in rows of its own
    return draft.add(str(draft.pick(names)), [x.name], x.dims)


def _odd(draft: Draft, x: Value) -> Value | None:
    names = ("Det", "Trilu", "NonZero", "Size", "Shape", "Not", "IsNaN", "Hardmax", "EyeLike", "RandomNormalLike")
    return draft.add(str(draft.pick(names)), [x.name], x.dims)


def _binary(draft: Draft, x: Value) -> Value | None:
    op_type = str(draft.pick(["Add", "Sub", "Mul", "Div", "Pow", "Max", "Min", "PRelu", "Sum", "Mean", "Mod"]))
    others = [value for value in draft.values if value.dims == x.dims]
    if draft.chance(0.5):
        other = str(draft.pick([value.name for value in others]))
    elif x.rank and draft.chance(0.5):
        other = draft.random(*[1] * (x.rank - 1), x.size(x.rank - 1))
    else:
        other = draft.random()
    return draft.add(op_type, [x.name, other], x.dims)


def _norm(draft: Draft, x: Value) -> Value | None:
    if x.rank < 2:
        return None
    c = x.size(1)
    if draft.chance(0.5):
        scale, bias, mean = (draft.random(c) for _ in range(3))
        var = draft.weight(np.full(c, 0.5, np.float32))
        return draft.add("BatchNormalization", [x.name, scale, bias, mean, var], x.dims)
    if draft.chance(0.5):
        return draft.add("InstanceNormalization", [x.name, draft.random(c), draft.random(c)], x.dims)
    last = x.size(x.rank - 1)
    return draft.add("LayerNormalization", [x.name, draft.random(last), draft.random(last)], x.dims, axis=-1)


def _transpose(draft: Draft, x: Value) -> Value | None:
    order = [int(i) for i in draft.rng.permutation(x.rank)]
    if draft.chance(0.5) and x.rank:
        order = [0, *(i for i in order if i)]
    return draft.add("Transpose", [x.name], tuple(x.dims[i] for i in order), perm=order or None)


def _reshape(draft: Draft, x: Value) -> Value | None:
    kind = draft.number(0, 4)
    if kind == 0:
        return draft.add("Flatten", [x.name], (x.dims[0] if x.rank else 1, 4), axis=draft.number(0, 1))
    if kind == 1 and x.rank:
        axis = draft.number(0, x.rank)
        return draft.add("Unsqueeze", [x.name, draft.ints(axis)], (*x.dims[:axis], 1, *x.dims[axis:]))
    if kind == 2 and 1 in x.dims:
        axis = x.dims.index(1)
        return draft.add("Squeeze", [x.name, draft.ints(axis)], x.dims[:axis] + x.dims[axis + 1 :])
    if kind == 3:
        return draft.add("Reshape", [x.name, draft.ints(-1)], ("flat",))
    return draft.add("Reshape", [x.name, draft.ints(0, -1)], (x.dims[0] if x.rank else 1, "flat"))


def _cut(draft: Draft, x: Value) -> Value | None:
    if not x.rank:
        return None
    axis = draft.number(0, x.rank - 1)
    size = x.dims[axis]
    # Not empty: onnxruntime's InstanceNormalization ends the process on an axis without elements.
    if not isinstance(size, int) or size < 1:
        return None
    start = draft.number(0, size - 1)
    stop = draft.number(start + 1, size + 2)
    dims = (*x.dims[:axis], f"cut{len(draft.nodes)}", *x.dims[axis + 1 :])
    return draft.add("Slice", [x.name, draft.ints(start), draft.ints(stop), draft.ints(axis)], dims)


def _join(draft: Draft, x: Value) -> Value | None:
    if not x.rank:
        return None
    axis = draft.number(0, x.rank - 1)
    others = [value.name for value in draft.values if value.dims == x.dims]
    dims = (*x.dims[:axis], x.size(axis) * 2, *x.dims[axis + 1 :])
    return draft.add("Concat", [x.name, str(draft.pick(others))], dims, axis=axis)


def _pad(draft: Draft, x: Value) -> Value | None:
    widths = [draft.number(-1, 2) for _ in range(2 * x.rank)]
    mode = str(draft.pick(["constant", "reflect", "edge", "wrap"]))
    return draft.add("Pad", [x.name, draft.ints(*widths)], tuple(f"p{i}" for i in range(x.rank)), mode=mode)


def _resize(draft: Draft, x: Value) -> Value | None:
    scales = [1.0] * min(2, x.rank) + [float(draft.pick([0.5, 2.0, 1.5]))] * max(0, x.rank - 2)
    mode = str(draft.pick(["nearest", "linear", "cubic"]))
    return draft.add("Resize", [x.name, "", draft.weight(np.float32(scales))], tuple("r" for _ in scales), mode=mode)


def _matmul(draft: Draft, x: Value) -> Value | None:
    if not x.rank:
        return None
    count = draft.number(1, 5)
    w = draft.random(x.size(x.rank - 1), count)
    if x.rank == 2 and draft.chance(0.5):
        return draft.add("Gemm", [x.name, w, draft.random(count)], (x.dims[0], count))
    if draft.chance(0.2):
        return draft.add("MatMul", [x.name, x.name], x.dims)
    return draft.add("MatMul", [x.name, w], (*x.dims[:-1], count))


def _reduce(draft: Draft, x: Value) -> Value | None:
    if not x.rank:
        return None
    op_type = str(draft.pick(["ReduceMean", "ReduceSum", "ReduceMax", "ReduceL2", "ReduceLogSumExp", "ReduceProd"]))
    axis, keep = draft.number(0, x.rank - 1), draft.number(0, 1)
    dims = (*x.dims[:axis], *([1] if keep else []), *x.dims[axis + 1 :])
    if op_type == "ReduceSum":
        return draft.add(op_type, [x.name, draft.ints(axis)], dims, keepdims=keep)
    return draft.add(op_type, [x.name], dims, axes=[axis], keepdims=keep)


def _sort(draft: Draft, x: Value) -> Value | None:
    if not x.rank:
        return None
    axis = draft.number(0, x.rank - 1)
    if draft.chance(0.5):
        return draft.add("ArgMax", [x.name], x.dims[:axis] + x.dims[axis + 1 :], dtype=_INT, axis=axis, keepdims=0)
    value = draft.add("TopK", [x.name, draft.ints(1)], (*x.dims[:axis], 1, *x.dims[axis + 1 :]), axis=axis)
    if value is not None:
        draft.nodes[-1].output.append(f"{value.name}_places")
    return value


def _cast(draft: Draft, x: Value) -> Value | None:
    dtype = int(draft.pick(_DTYPES))
    return draft.add("Cast", [x.name], x.dims, dtype=dtype, to=dtype)


def _gather(draft: Draft, x: Value) -> Value | None:
    if not x.rank:
        return None
    axis = draft.number(0, x.rank - 1)
    index = draft.weight(np.int64(0)) if draft.chance(0.5) else draft.ints(0, 0)
    return draft.add("Gather", [x.name, index], x.dims[:axis] + x.dims[axis + 1 :], axis=axis)


def _branch(draft: Draft, x: Value) -> Value | None:
    """An If whose branches read the graph around them."""
    name = f"inner{len(draft.nodes)}"
    info = helper.make_tensor_value_info(name, _FLOAT, None)
    bodies = [
        helper.make_graph([helper.make_node(op_type, [x.name], [name])], f"body_{op_type}", [], [info])
        for op_type in ("Relu", "Neg")
    ]
    flag = draft.weight(np.array(draft.chance(0.5)))
    if draft.chance(0.3):
        score = draft.add("ReduceSum", [x.name], (), keepdims=0)
        found = score and draft.add("Greater", [score.name, draft.weight(np.float32(0))], (), dtype=TensorProto.BOOL)
        flag = found.name if found else flag
    return draft.add("If", [flag], x.dims, then_branch=bodies[0], else_branch=bodies[1])


def _function(draft: Draft, x: Value) -> Value | None:
    """A call of a function that the model defines."""
    name = f"Local{len(draft.functions)}"
    nodes = [helper.make_node("Relu", ["a"], ["b"]), helper.make_node("Add", ["a", "b"], ["c"])]
    draft.functions.append(helper.make_function("local", name, ["a"], ["c"], nodes, [helper.make_opsetid("", 17)]))
    return draft.add(name, [x.name], x.dims, domain="local")


def _foreign(draft: Draft, x: Value) -> Value | None:
    """An operator of onnxruntime's, or of nobody's."""
    op_type, domain = [("Gelu", "com.microsoft"), ("QuickGelu", "com.microsoft"), ("Strange", "org.nobody")][
        draft.number(0, 2)
    ]
    return draft.add(op_type, [x.name], x.dims, domain=domain)


def _quantise(draft: Draft, x: Value) -> Value | None:
    scale, zero = draft.weight(np.float32(0.05)), draft.weight(np.uint8(3))
    q = draft.add("QuantizeLinear", [x.name, scale, zero], x.dims, dtype=TensorProto.UINT8)
    if q is None:
        return None
    return draft.add("DequantizeLinear", [q.name, scale, zero], x.dims) if draft.chance(0.9) else q


def _sequence(draft: Draft, x: Value) -> Value | None:
    both = draft.add("SequenceConstruct", [x.name, x.name], ())
    if both is None:
        return None
    draft.values.remove(both)
    return draft.add("SequenceAt", [both.name, draft.weight(np.int64(0))], x.dims)


_OFTEN = (_conv, _pool, _unary, _binary, _norm, _reshape, _matmul, _reduce)
_SELDOM = (
    _odd, _transpose, _cut, _join, _pad, _resize, _sort, _cast, _gather, _branch, _function, _foreign, _quantise,
    _sequence,
)  # fmt: skip  # a table, in rows of its own


def random_model(rng: np.random.Generator) -> onnx.ModelProto:
    """Draw a graph: mostly image, convolutions and a head, with anything in between, and odd inputs and outputs."""
    draft = Draft(rng)
    draft.inputs = [_input(draft, "image")]
    if draft.chance(0.05):
        draft.inputs.append(_input(draft, "other"))
    draft.values = list(draft.inputs)
    x = draft.values[0]
    for _ in range(draft.number(0, 9)):
        made = draft.pick(_OFTEN if draft.chance(0.75) else _SELDOM)(draft, x)  # type: ignore[operator]
        x = made if made is not None else x
        if draft.chance(0.1):
            x = draft.pick(draft.values)  # type: ignore[assignment]
    if draft.chance(0.7):
        x = _head(draft, x)
    return _finish(draft, x)


def _head(draft: Draft, x: Value) -> Value:
    """Pool what is a map, and end as classifiers do."""
    made: Value | None = x
    if x.rank == 4 and draft.chance(0.7):
        made = draft.add("GlobalAveragePool", [x.name], (*x.dims[:2], 1, 1))
    if made is not None and made.rank > 2 and draft.chance(0.8):
        made = draft.add("Flatten", [made.name], (x.dims[0], x.size(1)), axis=1)
    if made is not None and made.rank == 2:
        made = draft.add("MatMul", [made.name, draft.random(made.size(1), 4)], (x.dims[0], 4))
    op_type = str(draft.pick(["Softmax", "Sigmoid", "Identity", "LogSoftmax"]))
    made = draft.add(op_type, [made.name], made.dims) if made is not None else None
    return x if made is None else made


def _input(draft: Draft, name: str) -> Value:
    if draft.chance(0.75):
        batch = draft.pick(["N", 1, 2, ""])
        return Value(name, _FLOAT, (batch, draft.pick([1, 3, 3, 3, 4, "c"]), draft.pick([8, 12, "h"]), 8))  # type: ignore[arg-type]
    dims = tuple(draft.pick([1, 2, 3, 8, "N", "M", 0, -1]) for _ in range(draft.number(0, 5)))
    return Value(name, int(draft.pick(_DTYPES)), dims)  # type: ignore[arg-type]


def _finish(draft: Draft, last: Value) -> onnx.ModelProto:
    outputs = [last]
    if draft.chance(0.15):
        outputs.insert(draft.number(0, 1), draft.pick(draft.values))  # type: ignore[arg-type]
    if draft.chance(0.02):
        outputs = []
    if draft.chance(0.02) and draft.weights:
        weight = draft.weights[0]
        outputs.append(Value(weight.name, weight.data_type, tuple(weight.dims)))
    ends = [helper.make_tensor_value_info(v.name, v.dtype, None) for v in outputs]
    listed = draft.weights if draft.chance(0.1) else []
    infos = [helper.make_tensor_value_info(w.name, w.data_type, w.dims) for w in listed]
    model = draft.model(infos, ends, 17 if draft.chance(0.9) else draft.number(7, 24))
    model.ir_version = 8 if draft.chance(0.8) else draft.number(3, 10)
    return model


Change = Callable[[np.random.Generator, onnx.ModelProto], None]


def _any(rng: np.random.Generator, items: Sequence[object]) -> object | None:
    return items[int(rng.integers(len(items)))] if len(items) else None


def _names(model: onnx.ModelProto) -> list[str]:
    graph = model.graph
    names = [name for node in graph.node for name in node.output] + [value.name for value in graph.input]
    return names + [weight.name for weight in graph.initializer] + ["", "nowhere"]


def _drop_node(rng: np.random.Generator, model: onnx.ModelProto) -> None:
    if model.graph.node:
        del model.graph.node[int(rng.integers(len(model.graph.node)))]


def _double_node(rng: np.random.Generator, model: onnx.ModelProto) -> None:
    if model.graph.node:
        model.graph.node.append(model.graph.node[int(rng.integers(len(model.graph.node)))])


def _rewire(rng: np.random.Generator, model: onnx.ModelProto) -> None:
    node = _any(rng, model.graph.node)
    if node is not None and node.input:  # type: ignore[attr-defined]
        node.input[int(rng.integers(len(node.input)))] = str(_any(rng, _names(model)))  # type: ignore[attr-defined]


def _swap_inputs(rng: np.random.Generator, model: onnx.ModelProto) -> None:
    node = _any(rng, model.graph.node)
    if node is not None:
        names = list(node.input)  # type: ignore[attr-defined]
        del node.input[:]  # type: ignore[attr-defined]
        node.input.extend(names[::-1])  # type: ignore[attr-defined]


def _more_inputs(rng: np.random.Generator, model: onnx.ModelProto) -> None:
    node = _any(rng, model.graph.node)
    if node is not None:
        node.input.extend([str(_any(rng, _names(model)))] * 2)  # type: ignore[attr-defined]


def _rename_output(rng: np.random.Generator, model: onnx.ModelProto) -> None:
    node = _any(rng, model.graph.node)
    if node is not None and node.output:  # type: ignore[attr-defined]
        node.output[0] = str(_any(rng, _names(model)))  # type: ignore[attr-defined]


def _other_operator(rng: np.random.Generator, model: onnx.ModelProto) -> None:
    node = _any(rng, model.graph.node)
    if node is not None:
        kinds = ("Conv", "Gemm", "Softmax", "Nothing", "Loop", "If", "LSTM", "NonMaxSuppression", "Einsum", "Split", "")
        node.op_type = str(_any(rng, kinds))  # type: ignore[attr-defined]


def _attribute(rng: np.random.Generator, model: onnx.ModelProto) -> None:
    nodes = [node for node in model.graph.node if node.attribute]
    node = _any(rng, nodes)
    if node is None:
        return
    attribute = _any(rng, node.attribute)  # type: ignore[attr-defined]
    kind = int(rng.integers(4))
    if kind == 0:
        node.attribute.remove(attribute)  # type: ignore[attr-defined]
    elif kind == 1:
        attribute.i = int(rng.integers(-9, 9))  # type: ignore[union-attr]
        attribute.ints[:] = [int(i) for i in rng.integers(-3, 9, size=int(rng.integers(0, 5)))]  # type: ignore[union-attr]
    elif kind == 2:
        attribute.name = "surprise"  # type: ignore[union-attr]
    else:
        attribute.type = int(rng.integers(0, 12))  # type: ignore[union-attr]


def _weight(rng: np.random.Generator, model: onnx.ModelProto) -> None:
    tensor = _any(rng, model.graph.initializer)
    if tensor is None:
        return
    kind = int(rng.integers(6))
    if kind == 0:
        model.graph.initializer.remove(tensor)  # type: ignore[arg-type]
    elif kind == 1:
        tensor.dims[:] = [int(i) for i in rng.integers(-1, 7, size=int(rng.integers(0, 5)))]  # type: ignore[attr-defined]
    elif kind == 2:
        tensor.data_type = int(rng.integers(0, 25))  # type: ignore[attr-defined]
    elif kind == 3:
        tensor.raw_data = tensor.raw_data[: len(tensor.raw_data) // 2]  # type: ignore[attr-defined]
    elif kind == 4:
        tensor.name = str(_any(rng, _names(model)))  # type: ignore[attr-defined]
    else:
        array = numpy_helper.to_array(tensor)  # type: ignore[arg-type]
        spoilt = np.full_like(array, 0 if array.dtype.kind != "f" else _any(rng, [np.nan, np.inf, 1e30, 0]))
        tensor.CopyFrom(numpy_helper.from_array(spoilt, tensor.name))  # type: ignore[attr-defined]


def _declared(rng: np.random.Generator, model: onnx.ModelProto) -> None:
    """Another type or shape of an input or output."""
    info = _any(rng, [*model.graph.input, *model.graph.output])
    if info is None:
        return
    kind = int(rng.integers(6))
    tensor = info.type.tensor_type  # type: ignore[attr-defined]
    if kind == 0:
        tensor.elem_type = int(rng.integers(0, 25))
    elif kind == 1:
        tensor.ClearField("shape")
    elif kind == 2:
        info.ClearField("type")  # type: ignore[attr-defined]
    elif kind == 3 and tensor.shape.dim:
        dim = _any(rng, tensor.shape.dim)
        dim.dim_value = int(_any(rng, [-1, 0, 1, 2, 5, 2**20, 2**40]))  # type: ignore[union-attr, call-overload]
    elif kind == 4 and tensor.shape.dim:
        del tensor.shape.dim[0]
    else:
        info.name = str(_any(rng, _names(model)))  # type: ignore[attr-defined]


def _version(rng: np.random.Generator, model: onnx.ModelProto) -> None:
    kind = int(rng.integers(4))
    if kind == 0:
        model.ir_version = int(rng.integers(0, 20))
    elif kind == 1 and model.opset_import:
        model.opset_import[0].version = int(rng.integers(-1, 40))
    elif kind == 2:
        del model.opset_import[:]
    else:
        model.opset_import.extend([helper.make_opsetid("", 11)])


def _ends(rng: np.random.Generator, model: onnx.ModelProto) -> None:
    kind = int(rng.integers(4))
    if kind == 0:
        del model.graph.output[:]
    elif kind == 1:
        del model.graph.input[:]
    elif kind == 2 and model.graph.output:
        model.graph.output.append(model.graph.output[0])
    elif model.graph.input:
        model.graph.input.append(model.graph.input[0])


def _metadata(rng: np.random.Generator, model: onnx.ModelProto) -> None:
    keys = ("names", "camgraph.manifest", "stride", "labels")
    prop = model.metadata_props.add()
    prop.key, prop.value = str(_any(rng, keys)), str(_any(rng, ["{", "{}", "[]", "{0: 'a'}", "\x00", "null"]))


CHANGES: tuple[Change, ...] = (
    _drop_node, _double_node, _rewire, _rewire, _swap_inputs, _more_inputs, _rename_output, _other_operator, _attribute,
    _attribute, _weight, _weight, _declared, _declared, _version, _ends, _metadata,
)  # fmt: skip  # a table, in rows of its own


def mutated(rng: np.random.Generator, model: onnx.ModelProto) -> bytes:
    """Change a valid model in one to three places; now and then its bytes as well."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for _ in range(int(rng.integers(1, 4))):
        CHANGES[int(rng.integers(len(CHANGES)))](rng, copy)
    data = bytearray(copy.SerializeToString())
    if rng.random() < 0.1 and data:
        kind = int(rng.integers(3))
        place = int(rng.integers(len(data)))
        if kind == 0:
            del data[place:]
        elif kind == 1:
            data[place] = int(rng.integers(256))
        else:
            data += bytes(rng.integers(0, 256, size=10, dtype=np.uint8))
    return bytes(data)
