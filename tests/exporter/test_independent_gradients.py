"""Exported gradients against two other ways to differentiate: onnx-ad on the graph, torch autograd on the network.

Both sides take the activations at the layer as given and compare after them, so that gates near zero agree.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from camgraph_exporter import export
from camgraph_exporter.float64 import Float64Evaluator
from camgraph_exporter.graph.measures import relative_l2
from camgraph_runtime.run.engine import Engine
from support.nets import CLASSES, Net, classifier, deep_classifier, trunk

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "models" / "efficientnet_lite0.onnx"
TOLERANCE = 1e-6


def _export(source: Path, folder: Path, layer: str) -> onnx.ModelProto:
    with pytest.MonkeyPatch.context() as patch:  # a certificate would prove the same by a third way, more slowly
        patch.setattr("camgraph_exporter.certificate.certify.ALL", [])
        return export(source, folder / "cam.onnx", layers=layer, gradients=True).model


def _by_export(graph: onnx.ModelProto, layer: str, activations: np.ndarray, classes: list[int]) -> np.ndarray:
    """Gradients [T, K, h, w] of the export, in float64, from the given activations [1, K, h, w]."""
    image = next(value for value in graph.graph.input if value.name != "target")
    sizes = [dim.dim_value or 1 for dim in image.type.tensor_type.shape.dim]
    feeds = {image.name: np.zeros(sizes), "target": np.array([classes]), layer: activations}
    return Float64Evaluator(graph).run(["gradients"], feeds)[0][0]


def _tail(source: Path, layer: str, score: str, shape: tuple[int, ...]) -> onnx.ModelProto:
    """Cut the source after the layer: a model from activations and the image (for its shape) to scores, all static."""
    model = onnx.load(source)
    if model.opset_import[0].version < 17:  # onnx-ad wants scatters with a reduction
        model = onnx.version_converter.convert_version(model, 17)
    image = model.graph.input[0]
    for dim in image.type.tensor_type.shape.dim:
        dim.dim_value = dim.dim_value or 1
    tail = onnx.utils.Extractor(onnx.shape_inference.infer_shapes(model)).extract_model([layer, image.name], [score])
    tail.graph.input[0].CopyFrom(helper.make_tensor_value_info(layer, onnx.TensorProto.FLOAT, shape))
    del tail.graph.value_info[:]
    for output in tail.graph.output:
        output.type.tensor_type.ClearField("shape")
    return onnx.shape_inference.infer_shapes(tail, data_prop=True)


def _by_onnx_ad(tail: onnx.ModelProto, activations: np.ndarray, classes: list[int]) -> np.ndarray:
    """Gradients [T, K, h, w] by onnx-ad's reverse mode, evaluated in float64."""
    onnx_ad = pytest.importorskip("onnx_ad", reason="onnx-ad, an independent way to differentiate, is not installed.")
    (layer, image), score = (value.name for value in tail.graph.input), tail.graph.output[0].name
    adjoint = onnx_ad.reverse(tail, inputs=[layer], outputs=[score], layout="onnx")
    evaluator = Float64Evaluator(adjoint)
    seed_name = next(name for name in evaluator.input_names if name not in (layer, image))
    gradient_name = next(name for name in evaluator.output_names if name != score)
    count = int(tail.graph.output[0].type.tensor_type.shape.dim[1].dim_value)
    seed = np.eye(count)[classes].T[None]  # [1, C, T]: the seeds are the last axis
    sizes = [dim.dim_value for dim in tail.graph.input[1].type.tensor_type.shape.dim]
    found = evaluator.run([gradient_name], {layer: activations, image: np.zeros(sizes), seed_name: seed})[0]
    return np.moveaxis(found[0], -1, 0)


def _activations(source: Path, layer: str, seed: int = 0) -> np.ndarray:
    """Real activations of a random image, a little off the exact zeros that tie in a max-pooling."""
    model = onnx.load(source)
    if layer not in {value.name for value in model.graph.output}:
        model.graph.output.append(onnx.ValueInfoProto(name=layer))
    engine = Engine(model.SerializeToString())
    ((name, info),) = engine.inputs.items()
    rng = np.random.default_rng(seed)
    image = rng.standard_normal([size if isinstance(size, int) else 1 for size in info.shape]).astype(np.float32)
    found = engine.run({name: image}, [layer])[layer].astype(np.float64)
    return found + 1e-3 * np.abs(rng.standard_normal(found.shape))


def _compare_with_onnx_ad(source: Path, layer: str, score: str, folder: Path, classes: list[int]) -> None:
    activations = _activations(source, layer)
    ours = _by_export(_export(source, folder, layer), layer, activations, classes)
    theirs = _by_onnx_ad(_tail(source, layer, score, activations.shape), activations, classes)
    assert ours.shape == theirs.shape
    assert np.abs(theirs).max() > 0
    for a, b in zip(ours, theirs, strict=True):
        assert relative_l2(a, b) <= TOLERANCE


@pytest.mark.parametrize("layer", ["/_swish_1/Clip_output_0", "/_blocks.14/Add_output_0", "/_blocks.10/Add_output_0"])
def test_the_example_model_agrees_with_onnx_ad(layer: str, tmp_path: Path) -> None:
    _compare_with_onnx_ad(EXAMPLE, layer, "logits", tmp_path, [282, 7])


@pytest.mark.parametrize(
    ("name", "layer", "score", "classes"),
    [
        ("cifar10_resnet20", "/layer3/layer3.0/Relu_1_output_0", "logits", [3, 8]),
        ("squeezenet1_1", "/fire5/Concat_output_0", "logits", [285, 1]),
        ("mnist01_lenet_fc_opset11", "12", "24", [0, 1]),
    ],
)
def test_trained_models_agree_with_onnx_ad(
    name: str, layer: str, score: str, classes: list[int], shared: Path, tmp_path: Path
) -> None:
    _compare_with_onnx_ad(shared / "models" / f"{name}.onnx", layer, score, tmp_path, classes)


def _gated() -> onnx.ModelProto:
    """Squeeze-and-excitation, a hard swish, a strided depthwise convolution, and features that are used three times."""
    net = Net(seed=5)
    last = trunk(net, net.image())
    squeezed = net.node("GlobalAveragePool", last)
    gate = net.node("HardSigmoid", net.conv(net.node("Relu", net.conv(squeezed, (16, 4), kernel=1)), (4, 16), kernel=1))
    gated = net.node("Mul", last, gate, name="gated")
    strided = net.conv(net.node("HardSwish", gated), (16, 16), group=16, strides=[2, 2])
    pooled = net.node("MaxPool", last, kernel_shape=[2, 2], strides=[2, 2])
    return net.model(net.pooled_head(net.node("Sum", strided, pooled), 16))


RANDOM_NETS: dict[str, Callable[[], onnx.ModelProto]] = {
    "pooled head": classifier,
    "hidden layer": deep_classifier,
    "gated": _gated,
}  # fmt: skip  # a table, in rows of its own


@pytest.mark.parametrize("layer", ["stem", "block", "last"])
@pytest.mark.parametrize("net", RANDOM_NETS)
def test_random_nets_agree_with_onnx_ad(net: str, layer: str, tmp_path: Path) -> None:
    onnx.save(RANDOM_NETS[net](), tmp_path / "net.onnx")
    _compare_with_onnx_ad(tmp_path / "net.onnx", layer, "logits", tmp_path, [0, 3, 4])


def test_agrees_with_torch_autograd(tmp_path: Path) -> None:
    """The tail of `deep_classifier` after its first block, written again with torch's own functions."""
    torch = pytest.importorskip("torch", reason="torch, an independent way to differentiate, is not installed.")
    functional = torch.nn.functional
    model = deep_classifier(seed=3)
    onnx.save(model, tmp_path / "net.onnx")
    weights = {t.name: torch.tensor(numpy_helper.to_array(t).astype(np.float64)) for t in model.graph.initializer}
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    linears = [node for node in model.graph.node if node.op_type == "Gemm"]

    def conv(x, index, **options):  # type: ignore[no-untyped-def]  # of torch's tensors, which may be missing
        kernel, bias = (weights[name] for name in convolutions[index].input[1:])
        return functional.conv2d(x, kernel, bias, padding=kernel.shape[-1] // 2, **options)

    def linear(x, index):  # type: ignore[no-untyped-def]  # as above
        return functional.linear(x, *(weights[name] for name in linears[index].input[1:]))

    values = _activations(tmp_path / "net.onnx", "block", seed=1)
    block = torch.tensor(values, requires_grad=True)
    last = functional.relu(conv(functional.max_pool2d(block, 2), 3))
    joined = torch.cat([torch.sigmoid(conv(last, 4)), functional.relu(conv(last, 5, groups=2))], dim=1)
    scores = linear(functional.relu(linear(functional.avg_pool2d(joined, 2).flatten(1), 0)), 1)
    ours = _by_export(_export(tmp_path / "net.onnx", tmp_path, "block"), "block", values, list(range(CLASSES)))
    for index in range(CLASSES):
        (expected,) = torch.autograd.grad(scores[0, index], block, retain_graph=True)
        assert relative_l2(ours[index], expected.numpy()[0]) <= TOLERANCE
