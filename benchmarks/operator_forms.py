"""Times different forms of the same operator in onnxruntime: why the backward part is written as it is.

Each line pairs two graphs that give the same numbers, the plain form and the one that camgraph emits; the ratio is the
median of the pairs. The folds are made by the exporter's own code, once with its choice of form and once with a
ConvTranspose.

    python benchmarks/operator_forms.py --threads 1
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from unittest import mock

import click
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from paired import environment, run_pairs

from camgraph_exporter.vjp import fold
from camgraph_runtime.run.engine import Engine, Threads

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from exporter import vjp_harness as harness
from exporter.op_cases.case import Input, OpCase

_FOLDS = [
    ("stride 1, 256 x 14 x 14, 3 x 3", (256, 256, 3, 3), (256, 14, 14), {"pads": [1] * 4}),
    ("stride 1, 1024 to 256 x 14 x 14, 3 x 3", (256, 1024, 3, 3), (1024, 14, 14), {"pads": [1] * 4}),
    ("depthwise, stride 2, 144 x 56 x 56, 5 x 5", (144, 1, 5, 5), (144, 56, 56), {"pads": [2] * 4, "group": 144}),
    ("depthwise, stride 2, 240 x 28 x 28, 3 x 3", (240, 1, 3, 3), (240, 28, 28), {"pads": [1] * 4, "group": 240}),
    ("stride 2, 128 x 56 x 56, 3 x 3", (128, 128, 3, 3), (128, 56, 56), {"pads": [1] * 4}),
    ("stride 2, 512 x 14 x 14, 3 x 3", (512, 512, 3, 3), (512, 14, 14), {"pads": [1] * 4}),
    ("stride 2, 1024 x 14 x 14 to 2048, 1 x 1", (2048, 1024, 1, 1), (1024, 14, 14), {}),
]
_MAP = (1, 256, 56, 56)


@click.command(help=__doc__.partition("\n")[0])
@click.option("--pairs", type=click.IntRange(1), default=60, show_default=True)
@click.option("--threads", type=click.IntRange(1), default=1, show_default=True)
def main(pairs: int, threads: int) -> None:
    """Prints one line of a Markdown table for each pair of forms."""
    click.echo(f"{environment(threads)}, {pairs} pairs\n")
    click.echo("| what | plain form, ms | as emitted, ms | ratio (min-max) |\n|---|---:|---:|---:|")
    for name, weights, size, attributes in _FOLDS:
        strides = [2, 2] if "stride 2" in name else [1, 1]
        case = OpCase(name, "Conv", [Input(("N", *size)), _random(*weights)], {"strides": strides, **attributes})
        with (
            mock.patch.object(fold, "_same_size_pads", return_value=None),
            mock.patch.object(fold, "_fixed", return_value=None),
        ):
            plain = harness.gradient_model(case, np.float32).model
        _line(
            f"gradient of a convolution: {name}", plain, harness.gradient_model(case, np.float32).model, pairs, threads
        )
    apart = {name: ["N", 128, 28, 28] for name in ("00", "01", "10", "11")}
    by_depth = [("Concat", list(apart), "depth", {"axis": 1}), ("DepthToSpace", ["depth"], "y_out", {"blocksize": 2})]
    by_axis = [
        *(("Unsqueeze", [name, "last"], f"{name}_last", {}) for name in apart),
        ("Concat", ["00_last", "01_last"], "even", {"axis": 4}),
        ("Concat", ["10_last", "11_last"], "odd", {"axis": 4}),
        ("Concat", ["even", "odd"], "rows", {"axis": 3}),
        ("Reshape", ["rows", "size"], "y_out", {}),
    ]
    constants = {"last": np.array([4]), "size": np.array([0, 0, 56, 56])}
    made = (_graph(nodes, apart, ["N", 128, 56, 56], constants) for nodes in (by_depth, by_axis))
    _line("four maps of 128 x 28 x 28 in turn: DepthToSpace", *made, pairs, threads)
    gate = [
        ("Cast", ["y"], {"to": TensorProto.BOOL}),
        ("Cast", ["0"], {"to": TensorProto.FLOAT}),
        ("Mul", ["g", "1"], {}),
    ]
    selected = [gate[0], ("Where", ["0", "g", "zero"], {})]
    compared = [("Greater", ["y", "zero"], {}), *gate[1:]]
    shape = "x".join(map(str, _MAP[1:]))
    _line(f"gate of a ReLU, {shape}: Where", _chain(selected, _MAP), _chain(gate, _MAP), pairs, threads)
    _line(f"gate of a ReLU, {shape}: Greater", _chain(compared, _MAP), _chain(gate, _MAP), pairs, threads)
    thin = (8, 1000, 1, 1)
    scaled, ranked = ([("Mul", ["g", name], {})] for name in ("scalar", "full"))
    _line("a scalar times [1, 8, 1000, 1, 1]", _chain(scaled, thin), _chain(ranked, thin), pairs, threads)


def _random(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape) / np.sqrt(np.prod(shape[1:]))


def _chain(nodes: Sequence[tuple[str, list[str], dict[str, int]]], shape: tuple[int, ...]) -> onnx.ModelProto:
    """A graph of nodes in a row; node i writes the value i, the last one y_out. y: [N, ...]; g: [T, N, ...]."""
    names = [*map(str, range(len(nodes) - 1)), "y_out"]
    made = [(op_type, inputs, name, given) for (op_type, inputs, given), name in zip(nodes, names, strict=True)]
    read = {name for _, inputs, _ in nodes for name in inputs}
    dims = {"y": ["N", *shape[1:]], "g": ["T", "N", *shape[1:]]}
    constants = {
        "zero": np.float32(0),
        "scalar": np.float32(0.5),
        "full": np.full([1] * (len(shape) + 1), 0.5, np.float32),
    }
    used = {name: array for name, array in constants.items() if name in read}
    return _graph(made, {name: dims[name] for name in dims if name in read}, dims["g"], used)


def _graph(
    nodes: Sequence[tuple[str, list[str], str, dict[str, int]]],
    inputs: Mapping[str, list[int | str]],
    output: list[int | str],
    constants: Mapping[str, np.ndarray | np.generic],
) -> onnx.ModelProto:
    """A graph of nodes (operator, inputs, output, attributes); the result is y_out."""
    made = [helper.make_node(op_type, read, [name], **given) for op_type, read, name, given in nodes]
    infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, dims) for name, dims in inputs.items()]
    result = helper.make_tensor_value_info("y_out", TensorProto.FLOAT, output)
    weights = [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()]
    graph = helper.make_graph(made, "forms", infos, [result], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)


def _line(name: str, plain: onnx.ModelProto, emitted: onnx.ModelProto, pairs: int, threads: int) -> None:
    a, b = (Engine(model.SerializeToString(), threads=Threads(threads)) for model in (plain, emitted))
    sizes = {"N": 8 if "8, 1000" in name else 1}
    feeds = {
        info.name: np.maximum(
            _random(*(axis if isinstance(axis, int) else sizes.get(str(axis), 1) for axis in info.shape)), 0
        ).astype(np.float32)
        for info in a.inputs.values()
    }
    (expected, *_), (found, *_) = (list(engine.run(feeds).values()) for engine in (a, b))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    a_ms, b_ms, ratio = run_pairs(lambda: a.run(feeds), lambda: b.run(feeds), pairs).summary()
    click.echo(f"| {name} | {a_ms:.3f} | {b_ms:.3f} | {ratio} |")


if __name__ == "__main__":
    main()
