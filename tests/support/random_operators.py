"""What a random graph is made of: each draws one operator with its weights and attributes."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, helper

from support.random_draft import DTYPES, FLOAT, INT, Draft, Value


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
        return draft.add("ArgMax", [x.name], x.dims[:axis] + x.dims[axis + 1 :], dtype=INT, axis=axis, keepdims=0)
    value = draft.add("TopK", [x.name, draft.ints(1)], (*x.dims[:axis], 1, *x.dims[axis + 1 :]), axis=axis)
    if value is not None:
        draft.nodes[-1].output.append(f"{value.name}_places")
    return value


def _cast(draft: Draft, x: Value) -> Value | None:
    dtype = int(draft.pick(DTYPES))
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
    info = helper.make_tensor_value_info(name, FLOAT, None)
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


OFTEN = (_conv, _pool, _unary, _binary, _norm, _reshape, _matmul, _reduce)
SELDOM = (
    _odd, _transpose, _cut, _join, _pad, _resize, _sort, _cast, _gather, _branch, _function, _foreign, _quantise,
    _sequence,
)  # fmt: skip  # a table, in rows of its own
