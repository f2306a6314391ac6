"""Small random networks and their quantised forms, made by onnxruntime's own quantisation tools."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)

SIZE = 24

# A residual block, pooling, a ReLU6, a squeeze-and-excitation gate and a softmax.
RESIDUAL = f"""
<ir_version: 8, opset_import: ["" : 17]>
residual (float[N, 3, {SIZE}, {SIZE}] image) => (float[N, 5] probabilities) {{
    c0 = Conv <pads = [1, 1, 1, 1]> (image, w0, b0)
    stem = Relu (c0)
    c1 = Conv <pads = [1, 1, 1, 1]> (stem, w1, b1)
    r1 = Relu (c1)
    c2 = Conv <pads = [1, 1, 1, 1]> (r1, w2, b2)
    sum = Add (c2, stem)
    block = Relu (sum)
    pooled = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (block)
    c3 = Conv <strides = [2, 2], pads = [1, 1, 1, 1], group = 2> (pooled, w3, b3)
    narrow = Clip (c3, zero, six)
    squeezed = GlobalAveragePool (narrow)
    c4 = Conv (squeezed, w4, b4)
    gate = Sigmoid (c4)
    last = Mul (narrow, gate)
    mean = GlobalAveragePool (last)
    flat = Flatten (mean)
    logits = Gemm <transB = 1> (flat, w5, b5)
    probabilities = Softmax (logits)
}}
"""
# Two branches that are joined, a leaky activation, and averages.
BRANCHES = f"""
<ir_version: 8, opset_import: ["" : 17]>
branches (float[N, 3, {SIZE}, {SIZE}] image) => (float[N, 5] logits) {{
    c0 = Conv <strides = [2, 2], pads = [1, 1, 1, 1]> (image, w0, b0)
    stem = LeakyRelu <alpha = 0.1> (c0)
    c1 = Conv <pads = [1, 1, 1, 1]> (stem, w1, b1)
    left = Relu (c1)
    c2 = Conv <pads = [1, 1, 1, 1]> (stem, w2, b2)
    right = Relu (c2)
    joined = Concat <axis = 1> (left, right)
    averaged = AveragePool <kernel_shape = [3, 3], strides = [2, 2], pads = [1, 1, 1, 1]> (joined)
    c3 = Conv (averaged, w3, b3)
    last = Relu (c3)
    mean = AveragePool <kernel_shape = [6, 6]> (last)
    flat = Reshape (mean, rows)
    logits = MatMul (flat, w5)
}}
"""
_SHAPES = {
    "residual": {
        "w0": (8, 3, 3, 3), "w1": (8, 8, 3, 3), "w2": (8, 8, 3, 3), "w3": (16, 4, 3, 3), "w4": (16, 16, 1, 1),
        "w5": (5, 16),
    },
    "branches": {"w0": (8, 3, 3, 3), "w1": (8, 8, 3, 3), "w2": (4, 8, 3, 3), "w3": (16, 12, 1, 1), "w5": (16, 5)},
}  # fmt: skip  # a table, in rows of its own


@dataclass(frozen=True)
class Quantiser:
    """One way to quantise: the format, the element types, and how scales are shared."""

    format: str
    activations: str = "QUInt8"
    weights: str = "QInt8"
    per_channel: bool = False
    symmetric: bool = False

    def __str__(self) -> str:
        options = ["channels"] * self.per_channel + ["symmetric"] * self.symmetric
        return "-".join([self.format, self.activations, self.weights, *options])


STATIC = [
    Quantiser("QDQ"),
    Quantiser("QDQ", per_channel=True),
    Quantiser("QDQ", activations="QInt8"),
    Quantiser("QDQ", activations="QInt8", symmetric=True),
    Quantiser("QDQ", weights="QUInt8"),
    Quantiser("QDQ", activations="QUInt16"),
    Quantiser("QDQ", activations="QInt16", symmetric=True),
    Quantiser("QOperator"),
    Quantiser("QOperator", per_channel=True),
    Quantiser("QOperator", activations="QInt8"),
]


def float_net(text: str, seed: int = 5) -> onnx.ModelProto:
    """Return one of the networks with random weights of the size that keeps activations near one."""
    model = onnx.parser.parse_model(text)
    rng = np.random.default_rng(seed)
    arrays: dict[str, np.ndarray] = {"zero": np.float32(0), "six": np.float32(6), "rows": np.array([-1, 16])}
    for name, shape in _SHAPES[model.graph.name].items():
        fan_in = int(np.prod(shape[1:])) if len(shape) != 2 else 16
        arrays[name] = (rng.standard_normal(shape) * np.sqrt(2 / fan_in)).astype(np.float32)
        arrays[name.replace("w", "b")] = (0.1 * rng.standard_normal(shape[0])).astype(np.float32)
    used = {name for node in model.graph.node for name in node.input}
    model.graph.initializer.extend(numpy_helper.from_array(np.asarray(a), n) for n, a in arrays.items() if n in used)
    return model


def photos(count: int, seed: int = 0) -> np.ndarray:
    """Return random blotches [count, 3, SIZE, SIZE]."""
    rng = np.random.default_rng(seed)
    coarse = rng.standard_normal((count, 3, SIZE // 4, SIZE // 4)).repeat(4, axis=2).repeat(4, axis=3)
    return (coarse + 0.3 * rng.standard_normal((count, 3, SIZE, SIZE))).astype(np.float32)


class _Reader(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime has no types
    def __init__(self, batches: np.ndarray) -> None:
        self._batches: Iterator[np.ndarray] = iter(batches[:, None])

    def get_next(self) -> dict[str, np.ndarray] | None:
        batch = next(self._batches, None)
        return None if batch is None else {"image": batch}


def quantise(model: onnx.ModelProto, how: Quantiser, calibration: np.ndarray | None = None) -> onnx.ModelProto:
    """Quantise a network with ranges from `calibration` photos."""
    extra = {"ActivationSymmetric": how.symmetric, "WeightSymmetric": how.weights == "QInt8"}
    with _quietly(model) as (source, target):
        quantize_static(
            source,
            target,
            _Reader(photos(16, seed=1) if calibration is None else calibration),
            quant_format=QuantFormat[how.format],
            activation_type=QuantType[how.activations],
            weight_type=QuantType[how.weights],
            per_channel=how.per_channel,
            extra_options=extra,
        )
        return onnx.load(target)


def quantise_dynamically(model: onnx.ModelProto) -> onnx.ModelProto:
    """Quantise a network so that each run finds the ranges of its activations."""
    with _quietly(model) as (source, target):
        quantize_dynamic(source, target, weight_type=QuantType.QUInt8)
        return onnx.load(target)


class _quietly:  # noqa: N801 - reads as what it does
    """Gives a path with the model and one for the result; the tools' advice on preprocessing is not shown."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self._model = model
        self._folder = tempfile.TemporaryDirectory()

    def __enter__(self) -> tuple[Path, Path]:
        logging.disable(logging.WARNING)
        folder = Path(self._folder.name)
        onnx.save(self._model, folder / "float.onnx")
        return folder / "float.onnx", folder / "quantised.onnx"

    def __exit__(self, *_: object) -> None:
        logging.disable(logging.NOTSET)
        self._folder.cleanup()
