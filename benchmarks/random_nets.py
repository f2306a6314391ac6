"""Small networks with random weights for what trained models at hand lack: tokens, dynamic sizes, computed gathers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper, parser

_HEADER = '<ir_version: 8, opset_import: ["" : 17]>'
_WIDTH, _HEADS, _TOKENS = 32, 4, 65

_DYNAMIC = """
dynamic_size (float[N,3,H,W] image, float[16,3,3,3] w0, float[32,16,3,3] w1, float[32,32,3,3] w2, float[10,32,1,1] w3)
    => (float[N,10] logits) {
  a = Conv <strides = [2, 2], pads = [1, 1, 1, 1]> (image, w0)
  b = Relu (a)
  c = MaxPool <kernel_shape = [3, 3], strides = [2, 2], pads = [1, 1, 1, 1]> (b)
  d = Conv <strides = [2, 2], pads = [1, 1, 1, 1]> (c, w1)
  e = Sigmoid (d)
  f = Mul (d, e)
  g = AveragePool <kernel_shape = [3, 3], strides = [2, 2], pads = [1, 1, 1, 1]> (f)
  h = Conv <pads = [1, 1, 1, 1]> (g, w2)
  i = Relu (h)
  j = Conv (i, w3)
  k = GlobalAveragePool (j)
  logits = Flatten (k)
}
"""

_BEST_PLACES = """
best_places (float[N,3,16,16] image, float[16,3,3,3] w0, float[32,16,3,3] w1, float[10,256] w2)
    => (float[N,10] logits) {
  a = Conv <strides = [2, 2], pads = [1, 1, 1, 1]> (image, w0)
  b = Relu (a)
  c = Conv <strides = [2, 2], pads = [1, 1, 1, 1]> (b, w1)
  d = Relu (c)
  flat = Constant <value_ints = [0, 32, -1]> ()
  places = Reshape (d, flat)
  strength = ReduceMean <axes = [1], keepdims = 1> (places)
  count = Constant <value_ints = [8]> ()
  values, best = TopK (strength, count)
  shape = Constant <value_ints = [1, 32, 8]> ()
  indices = Expand (best, shape)
  kept = GatherElements <axis = 2> (places, indices)
  e = Flatten (kept)
  logits = Gemm <transB = 1> (e, w2)
}
"""


def write_random_nets(folder: Path) -> list[Path]:
    """Write every network into `folder`; the weights are the same each time."""
    texts = {"vision_transformer": _transformer(blocks=3), "dynamic_size": _DYNAMIC, "best_places": _BEST_PLACES}
    paths = []
    for name, text in texts.items():
        paths.append(folder / f"{name}.onnx")
        onnx.save(_with_random_weights(parser.parse_model(_HEADER + text)), paths[-1])
    return paths


def _transformer(*, blocks: int) -> str:
    """A vision transformer as in Dosovitskiy et al. 2021: 8 x 8 patches, a class token, pre-norm blocks."""
    width = _WIDTH
    weights = [f"float[{width},3,8,8] embed", f"float[1,1,{width}] token", f"float[1,{_TOKENS},{width}] position"]
    lines = [
        "patches = Conv <strides = [8, 8]> (image, embed)",
        f"grid = Constant <value_ints = [0, {width}, 64]> ()",
        "rows = Reshape (patches, grid)",
        "columns = Transpose <perm = [0, 2, 1]> (rows)",
        "size = Shape <start = 0, end = 1> (image)",
        "one = Constant <value_ints = [1, 1]> ()",
        "repeat = Concat <axis = 0> (size, one)",
        "tokens = Expand (token, repeat)",
        "joined = Concat <axis = 1> (tokens, columns)",
        "x0 = Add (joined, position)",
        f"split = Constant <value_ints = [0, {_TOKENS}, {_HEADS}, {width // _HEADS}]> ()",
        f"merge = Constant <value_ints = [0, {_TOKENS}, {width}]> ()",
        f"scale = Constant <value_float = {(width // _HEADS) ** -0.5}> ()",
    ]
    for i in range(blocks):
        weights += _block_weights(i)
        lines += _block(i)
    weights += [f"float[{width}] gain", f"float[{width}] shift", f"float[10,{width}] head"]
    lines += [
        f"normed = LayerNormalization (x{blocks}, gain, shift)",
        "first = Constant <value_int = 0> ()",
        "class = Gather <axis = 1> (normed, first)",
        "logits = Gemm <transB = 1> (class, head)",
    ]
    body = "\n".join(lines)
    return f"vision_transformer (float[N,3,64,64] image, {', '.join(weights)}) => (float[N,10] logits) {{\n{body}\n}}"


def _block_weights(i: int) -> list[str]:
    matrices = [f"float[{_WIDTH},{_WIDTH}] {name}{i}" for name in "qkvo"]
    vectors = [f"float[{_WIDTH}] {name}{i}" for name in ("gain_a", "shift_a", "gain_m", "shift_m")]
    return [*matrices, *vectors, f"float[{_WIDTH},{4 * _WIDTH}] up{i}", f"float[{4 * _WIDTH},{_WIDTH}] down{i}"]


def _block(i: int) -> list[str]:
    heads = []
    for name, perm in (("q", [0, 2, 1, 3]), ("k", [0, 2, 3, 1]), ("v", [0, 2, 1, 3])):
        heads += [
            f"{name}_{i} = MatMul (a{i}, {name}{i})",
            f"{name}_split{i} = Reshape ({name}_{i}, split)",
            f"{name}_heads{i} = Transpose <perm = {perm}> ({name}_split{i})",
        ]
    return [
        f"a{i} = LayerNormalization (x{i}, gain_a{i}, shift_a{i})",
        *heads,
        f"raw{i} = MatMul (q_heads{i}, k_heads{i})",
        f"scaled{i} = Mul (raw{i}, scale)",
        f"attention{i} = Softmax <axis = -1> (scaled{i})",
        f"mixed{i} = MatMul (attention{i}, v_heads{i})",
        f"back{i} = Transpose <perm = [0, 2, 1, 3]> (mixed{i})",
        f"merged{i} = Reshape (back{i}, merge)",
        f"out{i} = MatMul (merged{i}, o{i})",
        f"y{i} = Add (x{i}, out{i})",
        f"m{i} = LayerNormalization (y{i}, gain_m{i}, shift_m{i})",
        f"hidden{i} = MatMul (m{i}, up{i})",
        f"half{i} = Constant <value_float = 0.5> ()",
        f"root{i} = Constant <value_float = 0.70710678> ()",
        f"unit{i} = Constant <value_float = 1.0> ()",
        f"inner{i} = Mul (hidden{i}, root{i})",
        f"error{i} = Erf (inner{i})",
        f"gate{i} = Add (error{i}, unit{i})",
        f"halved{i} = Mul (hidden{i}, half{i})",
        f"gelu{i} = Mul (halved{i}, gate{i})",
        f"lowered{i} = MatMul (gelu{i}, down{i})",
        f"x{i + 1} = Add (y{i}, lowered{i})",
    ]


def _with_random_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """Turn every input after the image into an initializer; gains are near one, the rest is scaled by its fan-in."""
    rng = np.random.default_rng(0)
    for value in list(model.graph.input)[1:]:
        shape = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        noise = rng.standard_normal(shape)
        fan_in = np.prod(shape[1:]) if len(shape) in {2, 4} else 100
        array = 1 + 0.1 * noise if value.name.startswith("gain") else noise * (2 / fan_in) ** 0.5
        model.graph.initializer.append(numpy_helper.from_array(array.astype(np.float32), value.name))
        model.graph.input.remove(value)
    onnx.checker.check_model(model, full_check=True)
    return model
