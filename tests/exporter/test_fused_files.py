"""Files that onnxruntime's optimiser saved: what it fused is written out where a gradient passes, else said by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from support.exporting import camgraph, complaint, exported, images, run_graph
from support.nets import CLASSES, IMAGE, Net, classifier, trunk

OWN = "com.microsoft"


def _optimised(model: onnx.ModelProto, level: str, folder: Path) -> onnx.ModelProto:
    """What onnxruntime's optimiser makes of a model."""
    onnx.save(model, folder / "plain.onnx")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, f"ORT_ENABLE_{level}")
    options.optimized_model_filepath = str(folder / "fused.onnx")
    onnxruntime.InferenceSession(str(folder / "plain.onnx"), options, providers=["CPUExecutionProvider"])
    return onnx.load(folder / "fused.onnx")


def _activations() -> onnx.ModelProto:
    """Every activation that is fused into a convolution; and one into the linear layer."""
    net = Net(seed=3)
    x = net.node("Relu", net.conv(net.image(), (3, 8)), name="layer")
    x = net.node("LeakyRelu", net.conv(x, (8, 8)), alpha=0.2)
    x = net.node("Sigmoid", net.conv(x, (8, 8), group=2))
    x = net.node("Tanh", net.conv(x, (8, 8), strides=[2, 2]))
    x = net.node("Clip", net.conv(x, (8, 8)), net.weight(np.float32(-1)), net.weight(np.float32(1)))
    x = net.node("HardSigmoid", net.conv(x, (8, 8)), alpha=0.3, beta=0.4)
    hidden = net.node("LeakyRelu", net.pooled_head(x, 8, 16, name="hidden"), alpha=0.1)
    return net.model(net.linear(hidden, 16, CLASSES, name="logits"))


def _tokens() -> onnx.ModelProto:
    """A block of a transformer: attention, a Gelu with its bias, a QuickGelu, normalised sums."""
    net = Net(seed=4)
    maps = net.conv(net.image(), (3, 16), kernel=4, strides=[4, 4], pads=[0] * 4, name="layer")
    x = net.node("Transpose", net.node("Reshape", maps, net.ints(0, 16, 16)), perm=[0, 2, 1])
    gain, shift = net.weight(np.full(16, 1.5, np.float32)), net.weight(np.full(16, 0.1, np.float32))
    normal = net.node("LayerNormalization", x, gain, shift, axis=-1)
    q, k, v = (net.node("MatMul", normal, net.random(16, 16)) for _ in range(3))
    score = net.node("MatMul", q, net.node("Transpose", k, perm=[0, 2, 1]))
    mix = net.node("Softmax", net.node("Mul", score, net.weight(np.float32(0.25))), axis=-1)
    x = net.node("Add", x, net.node("MatMul", mix, v))
    h = net.node("Add", net.node("MatMul", x, net.random(16, 32)), net.weight(np.full(32, 0.1, np.float32)))
    erf = net.node("Erf", net.node("Div", h, net.weight(np.float32(2**0.5))))
    one, half = net.weight(np.float32(1)), net.weight(np.float32(0.5))
    h = net.node("MatMul", net.node("Mul", net.node("Mul", h, net.node("Add", erf, one)), half), net.random(32, 16))
    h = net.node("Mul", h, net.node("Sigmoid", net.node("Mul", h, net.weight(np.float32(1.702)))))
    x = net.node("LayerNormalization", net.node("Add", x, h), gain, shift, axis=-1)
    return net.model(net.linear(net.node("ReduceMean", x, axes=[1], keepdims=0), 16, CLASSES, name="logits"))


FUSED = {
    "activations": (_activations, {"FusedConv", "FusedGemm"}),
    "tokens": (_tokens, {"FusedMatMul", "BiasGelu", "QuickGelu", "SkipLayerNormalization"}),
    "residual": (classifier, {"FusedConv"}),
}


@pytest.mark.parametrize("name", FUSED)
def test_a_file_from_the_optimiser_is_explained_as_the_one_before(name: str, tmp_path: Path) -> None:
    build, operators = FUSED[name]
    fused = _optimised(build(), "EXTENDED", tmp_path)
    assert {node.op_type for node in fused.graph.node if node.domain == OWN} == operators
    layers = ("last",) if name == "residual" else ("layer",)
    (tmp_path / "before").mkdir()
    expected = exported(build(), tmp_path / "before", layers=layers)
    made = exported(fused, tmp_path, layers=layers)
    assert expected.manifest.certificate.passed
    assert made.manifest.certificate.passed
    assert not [node for node in made.model.graph.node if node.domain]
    listed = ", ".join(sorted(operators))
    assert f"Its operators of onnxruntime's own ({listed}) are written out" in made.manifest.notes[0]
    image = images((2, *IMAGE[1:]))
    found, before = (run_graph(folder / "cam.onnx", image, [0, 3]) for folder in (tmp_path, tmp_path / "before"))
    bare = onnxruntime.InferenceSession(str(tmp_path / "source.onnx"), providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(found["logits"], bare.run(["logits"], {"image": image})[0], rtol=1e-4, atol=1e-5)
    scale = np.abs(before["weights"]).max()
    np.testing.assert_allclose(found["weights"], before["weights"], rtol=1e-3, atol=1e-4 * scale)


def _by_hand(add: Callable[[Net, str], str], opset: int = 17) -> onnx.ModelProto:
    """A classifier with a fused operator on the map after the layer `last`."""
    net = Net(opset=opset, ir_version=10)
    return net.model(net.pooled_head(add(net, trunk(net, net.image())), 16))


def _own(net: Net, op_type: str, *inputs: str, **attributes: Any) -> str:
    return net.node(op_type, *inputs, domain=OWN, **attributes)


def _as_rows(net: Net, x: str, make: Callable[[str], str]) -> str:
    """Apply what wants its features last to a map."""
    rows = make(net.node("Transpose", x, perm=[0, 2, 3, 1]))
    return net.node("Transpose", rows, perm=[0, 3, 1, 2])


def _sum(net: Net, x: str) -> str:
    """A convolution with a residual added before its activation."""
    kernel, bias = net.random(16, 16, 3, 3), net.weight(np.full(16, 0.1, np.float32))
    attributes = {"activation": "Relu", "pads": [1] * 4, "kernel_shape": [3, 3]}
    return _own(net, "FusedConv", x, kernel, bias, x, **attributes)


def _fast_bias(net: Net, x: str) -> str:
    bias = net.weight(np.linspace(-1, 1, 16, dtype=np.float32))
    return _as_rows(net, x, lambda rows: _own(net, "FastGelu", rows, bias))


def _turned(net: Net, x: str) -> str:
    both = {"transA": 1, "transB": 1, "alpha": 0.5}
    mixed = _own(net, "FusedMatMul", net.node("Reshape", x, net.ints(0, 16, 64)), net.random(16, 16), **both)
    return net.node("Reshape", net.node("Transpose", mixed, perm=[0, 2, 1]), net.ints(0, 16, 8, 8))


HAND = {
    "Gelu": lambda net, x: _own(net, "Gelu", x),
    "FastGelu": lambda net, x: _own(net, "FastGelu", x),
    "FastGelu with a bias": _fast_bias,
    "QuickGelu of slope one": lambda net, x: _own(net, "QuickGelu", x, alpha=1.0),
    "FusedConv with a sum": _sum,
    "FusedMatMul turned": _turned,
}


@pytest.mark.parametrize("opset", [17, 20])
@pytest.mark.parametrize("name", HAND)
def test_a_fused_operator_is_written_out(name: str, opset: int, tmp_path: Path) -> None:
    made = exported(_by_hand(HAND[name], opset), tmp_path, layers=("last",), gradients=True)
    assert made.manifest.certificate.passed
    assert not [node for node in made.model.graph.node if node.domain]
    image = images((2, *IMAGE[1:]))
    bare = onnxruntime.InferenceSession(str(tmp_path / "source.onnx"), providers=["CPUExecutionProvider"])
    found = run_graph(tmp_path / "cam.onnx", image, [0])
    np.testing.assert_allclose(found["logits"], bare.run(["logits"], {"image": image})[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("has_a_plain_map", [False, True])
def test_a_layout_of_one_kind_of_cpu_is_named(has_a_plain_map: bool, tmp_path: Path) -> None:
    """At level ALL the maps have blocked channels; which blocks, the CPU says, so nodes are written here by hand."""
    net = Net()
    blocked = "com.microsoft.nchwc"
    attributes = {"activation": "Relu", "pads": [1] * 4, "kernel_shape": [3, 3]}
    x = net.node("Conv", net.image(), net.random(16, 3, 3, 3), domain=blocked, name="map", **attributes)
    if has_a_plain_map:
        x = net.node("GlobalAveragePool", net.node("ReorderOutput", x, domain=blocked, channels=16), name="mean")
        rows = net.node("Flatten", x)
    else:
        x = net.node("GlobalAveragePool", x, domain=blocked, name="mean")
        rows = net.node("Flatten", net.node("ReorderOutput", x, domain=blocked, channels=16, name="plain"))
    onnx.save(net.model(net.linear(rows, 16, CLASSES, name="logits")), tmp_path / "source.onnx")
    said = complaint(camgraph("export", tmp_path / "source.onnx", "-o", tmp_path / "cam.onnx"), exit_code=1)
    second = "ReorderOutput" if has_a_plain_map else "GlobalAveragePool"
    assert "not standard: 'node/map' (Conv of com.microsoft.nchwc), 'node/" in said
    assert f"({second} of com.microsoft.nchwc)" in said
    assert "save it at the level ORT_ENABLE_EXTENDED or lower" in said
