"""Small random ONNX graphs."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper

from support.random_draft import DTYPES, FLOAT, Draft, Value
from support.random_operators import OFTEN, SELDOM


def random_model(rng: np.random.Generator) -> onnx.ModelProto:
    """Draw a graph: mostly image, convolutions and a head, with anything in between, and odd inputs and outputs."""
    draft = Draft(rng)
    draft.inputs = [_input(draft, "image")]
    if draft.chance(0.05):
        draft.inputs.append(_input(draft, "other"))
    draft.values = list(draft.inputs)
    x = draft.values[0]
    for _ in range(draft.number(0, 9)):
        made = draft.pick(OFTEN if draft.chance(0.75) else SELDOM)(draft, x)
        x = made if made is not None else x
        if draft.chance(0.1):
            x = draft.pick(draft.values)
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
        return Value(name, FLOAT, (batch, draft.pick([1, 3, 3, 3, 4, "c"]), draft.pick([8, 12, "h"]), 8))
    dims = tuple(draft.pick([1, 2, 3, 8, "N", "M", 0, -1]) for _ in range(draft.number(0, 5)))
    return Value(name, int(draft.pick(DTYPES)), dims)


def _finish(draft: Draft, last: Value) -> onnx.ModelProto:
    outputs = [last]
    if draft.chance(0.15):
        outputs.insert(draft.number(0, 1), draft.pick(draft.values))
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
