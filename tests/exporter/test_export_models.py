"""Trained models, unmodified: the export of each at the automatic, a middle and an early layer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from camgraph.v1 import manifest_pb2 as pb
from camgraph_exporter import Input, export
from camgraph_runtime.run.engine import Engine


@dataclass(frozen=True)
class Layer:
    """A layer with what is known of it: K, h, w."""

    name: str
    shape: tuple[int, int, int]


@dataclass(frozen=True)
class Trained:
    """A trained model: how its photos are prepared, and three layers; the first is what `auto` must choose."""

    name: str
    preset: str
    layers: tuple[Layer, Layer, Layer]
    image: tuple[int, int, int]
    classes: int
    head: pb.HeadKind
    score: str


MODELS = [
    Trained(
        "efficientnet_lite0",
        "efficientnet-lite",
        (
            Layer("/_swish_1/Clip_output_0", (1280, 7, 7)),
            Layer("/_blocks.10/Add_output_0", (112, 14, 14)),
            Layer("/_blocks.2/Add_output_0", (24, 56, 56)),
        ),
        (3, 224, 224),
        1000,
        pb.HEAD_KIND_NONE,
        "logits",
    ),
    Trained(
        "squeezenet1_1",
        "caffe",
        (
            Layer("/conv10/Conv_output_0", (1000, 14, 14)),
            Layer("/fire5/Concat_output_0", (256, 28, 28)),
            Layer("/fire2/Concat_output_0", (128, 56, 56)),
        ),
        (3, 227, 227),
        1000,
        pb.HEAD_KIND_NONE,
        "logits",
    ),
    Trained(
        "pplcnet_doc_orientation",
        "imagenet",
        (
            Layer("p2o.pd_op.hardswish.26.0", (512, 7, 7)),
            Layer("p2o.pd_op.hardswish.14.0", (256, 14, 14)),
            Layer("p2o.pd_op.hardswish.4.0", (64, 56, 56)),
        ),
        (3, 224, 224),
        4,
        pb.HEAD_KIND_SOFTMAX,
        "",
    ),
    Trained(
        "cifar10_resnet20",
        "imagenet",
        (
            Layer("/layer3/layer3.2/Relu_1_output_0", (64, 8, 8)),
            Layer("/layer2/layer2.2/Relu_1_output_0", (32, 16, 16)),
            Layer("/layer1/layer1.2/Relu_1_output_0", (16, 32, 32)),
        ),
        (3, 32, 32),
        10,
        pb.HEAD_KIND_NONE,
        "logits",
    ),
    Trained(
        "mnist01_lenet_fc_opset11",
        "raw",
        (Layer("14", (32, 7, 7)), Layer("12", (32, 14, 14)), Layer("9", (16, 28, 28))),
        (1, 28, 28),
        2,
        pb.HEAD_KIND_LOG_SOFTMAX,
        "",
    ),
    Trained(
        "vww_mobilenetv1_float",
        "zero-one",
        (Layer("Relu__83:0", (256, 3, 3)), Layer("Relu__44:0", (128, 6, 6)), Layer("Relu__5:0", (8, 48, 48))),
        (96, 96, 3),
        2,
        pb.HEAD_KIND_SOFTMAX,
        "",
    ),
]


@dataclass(frozen=True)
class Case:
    """An export on disk with its source, both loaded in fresh sessions."""

    model: Trained
    index: int
    manifest: pb.Manifest
    path: Path
    graph: Engine
    source_path: Path
    source: Engine


CASES = [(model, index) for model in MODELS for index in range(3)]
NAMES = ["auto", "mid", "early"]


# Module scope: pytest runs all tests of a case in a row, so that each export is made once.
@pytest.fixture(scope="module", params=CASES, ids=[f"{model.name}-{NAMES[index]}" for model, index in CASES])
def case(request: pytest.FixtureRequest, shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Case:
    model, index = request.param
    return _export(shared / "models", tmp_path_factory.mktemp("export"), model, index)


def _export(models: Path, folder: Path, model: Trained, index: int) -> Case:
    source, path = models / f"{model.name}.onnx", folder / "cam.onnx"
    layer = "auto" if index == 0 else model.layers[index].name
    manifest = export(source, path, layers=(layer,), input=Input(based_on=model.preset)).manifest
    return Case(model, index, manifest, path, Engine(path), source, Engine(source))


def draw(case: Case, batch: int) -> np.ndarray:
    """Draw images that look like prepared photos to the model: a few grey steps around its zero."""
    rng = np.random.default_rng(batch)
    spec = case.manifest.input
    pixels = rng.uniform(0, 255, (batch, *case.model.image))
    wide = (1, 1, 1, -1) if spec.layout == pb.LAYOUT_NHWC else (1, -1, 1, 1)
    mean, std = np.reshape(spec.mean, wide), np.reshape(spec.std, wide)
    return np.asarray((pixels / spec.divisor - mean) / std, dtype=np.float32)


def test_the_certificate_passes(case: Case) -> None:
    assert case.manifest.certificate.passed
    layer = case.manifest.layers[0]
    assert layer.name == case.model.layers[case.index].name
    assert (layer.channels, layer.height, layer.width) == case.model.layers[case.index].shape
    assert case.manifest.head.num_classes == case.model.classes
    assert case.manifest.head.kind == case.model.head
    assert not case.model.score or case.manifest.head.score_tensor == case.model.score
    errors = {check.name: check.error for check in case.manifest.certificate.checks}
    assert errors["source-outputs"] == 0
    assert errors["gradient-finite-differences"] <= 1e-4


def test_outputs_of_the_source_are_bit_identical(case: Case) -> None:
    assert list(case.graph.outputs)[: len(case.source.outputs)] == list(case.source.outputs)
    for batch in (1, 3):
        image = draw(case, batch)
        name = case.manifest.input.tensor.name
        before = case.source.run({name: image})
        after = case.graph.run({name: image, "target": np.full((batch, 2), -1)})
        for output, expected in before.items():
            assert after[output].dtype == expected.dtype
            np.testing.assert_array_equal(after[output], expected)


@pytest.mark.parametrize("batch", [1, 3])
def test_any_batch_and_any_number_of_targets(case: Case, batch: int) -> None:
    channels, height, width = case.model.layers[case.index].shape
    image = draw(case, batch)
    name = case.manifest.input.tensor.name
    assert case.graph.inputs[name].shape[0] == case.graph.inputs["target"].shape[0] == "N"
    assert case.graph.inputs["target"].shape[1] == "T"
    classes = np.random.default_rng(0).integers(0, case.model.classes, (batch, 5))
    five = case.graph.run({name: image, "target": classes})
    assert five["activations"].shape == (batch, channels, height, width)
    for count in range(1, 6):
        found = case.graph.run({name: image, "target": classes[:, :count]})
        assert found["weights"].shape == (batch, count, channels)
        assert found["target_index"].tolist() == classes[:, :count].tolist()
        np.testing.assert_allclose(found["weights"], five["weights"][:, :count], rtol=1e-4, atol=1e-6)


def test_ranks_resolve_to_the_best_classes(case: Case) -> None:
    image = draw(case, 3)
    name = case.manifest.input.tensor.name
    ranks = min(case.model.classes, 4)
    target = np.tile(-1 - np.arange(ranks), (3, 1))
    found = case.graph.run({name: image, "target": target})
    output = found[case.manifest.head.output_name].reshape(3, -1)
    # A softmax keeps the order of its logits.
    expected = np.argsort(-output, axis=1, kind="stable")[:, :ranks]
    assert found["target_index"].tolist() == expected.tolist()
    assert (np.diff(found["target_score"], axis=1) <= 0).all()
    named = case.graph.run({name: image, "target": expected})
    np.testing.assert_array_equal(named["weights"], found["weights"])


def test_the_file_holds_the_weights_once(case: Case) -> None:
    """Constants of the backward part are small, but for the flipped kernels of convolutions that are cheaper so."""
    proto = onnx.load(case.path)
    largest = [np.asarray(numpy_helper.to_array(t)) for t in proto.graph.initializer if np.prod(t.dims) >= 4096]
    contents = [array.tobytes() for array in largest]
    assert len(set(contents)) == len(contents)
    limit = 1.02 if case.index == 0 else 1.25
    assert case.path.stat().st_size <= limit * case.source_path.stat().st_size + 200_000


def test_only_standard_operators(case: Case) -> None:
    proto = onnx.load(case.path)
    assert {node.domain for node in proto.graph.node} <= {"", "ai.onnx"}
    assert not proto.functions
    onnx.checker.check_model(proto, full_check=True)


def test_activations_of_a_channels_last_model_are_channels_first(shared: Path, tmp_path: Path) -> None:
    case = _export(shared / "models", tmp_path, MODELS[-1], 0)
    assert case.manifest.input.layout == pb.LAYOUT_NHWC
    image = draw(case, 2)
    found = case.graph.run({case.manifest.input.tensor.name: image, "target": np.full((2, 1), -1)})
    assert found["activations"].shape == (2, 256, 3, 3)
    model = onnx.load(case.source_path)
    model.graph.output.append(onnx.ValueInfoProto(name="Relu__83:0"))
    source = Engine(model.SerializeToString()).run({case.manifest.input.tensor.name: image})["Relu__83:0"]
    np.testing.assert_allclose(found["activations"], source, rtol=1e-5, atol=1e-6)
