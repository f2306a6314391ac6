"""Exports of trained models against grad-cam's own gradients, channel weights and heatmaps."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from camgraph_exporter import Input, export
from camgraph_exporter.graph.measures import relative_l2
from camgraph_runtime import Explainer
from camgraph_runtime.run.engine import Engine

PHOTOS = {"chelsea": "chelsea.png", "coffee": "coffee.png", "rocket": "rocket.jpg"}
MODELS = {
    "efficientnet_lite0": Input.preset("efficientnet-lite"),
    "cifar10_resnet20": Input(based_on="imagenet", resize="center-square", filter="lanczos"),
}
LAYERS = ("last", "mid", "early")
# Deep in a network a ReLU gate near zero may flip between torch and onnxruntime.
TOLERANCE = {"last": 1e-5, "mid": 1e-3, "early": 1e-3}

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Golden:
    """One model explained at three layers with full gradients, beside what grad-cam made of it."""

    name: str
    shared: Path
    path: Path

    def reference(self, photo: str) -> Arrays:
        with np.load(self.shared / "reference" / f"{self.name}.{photo}.npz") as file:
            return {key: file[key] for key in file.files}

    def run(self, reference: Arrays) -> Arrays:
        """Run the export on the reference's own input for its own two classes."""
        return Engine(self.path).run({"input": reference["input"], "target": reference["classes"][None]})


@pytest.fixture(scope="module", params=MODELS)
def golden(request: pytest.FixtureRequest, shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Golden:
    name: str = request.param
    folder = tmp_path_factory.mktemp(name)
    with np.load(shared / "reference" / f"{name}.chelsea.npz") as file:
        layers = tuple(str(file[f"{layer}.tensor"]) for layer in LAYERS)
    with pytest.MonkeyPatch.context() as patch:  # the certificate takes most of the time, and has tests of its own
        patch.setattr("camgraph_exporter.certificate.certify.ALL", [])
        export(
            shared / "models" / f"{name}.onnx", folder / "cam.onnx", layers=layers, gradients=True, input=MODELS[name]
        )
    return Golden(name, shared, folder / "cam.onnx")


def output(found: Arrays, kind: str, layer: str) -> np.ndarray:
    """Return an output of a layer: the first has no number in its name."""
    index = LAYERS.index(layer)
    return found[f"{kind}_{index}" if index else kind]


@pytest.mark.parametrize("photo", PHOTOS)
@pytest.mark.parametrize("layer", LAYERS)
def test_activations_and_channel_weights(golden: Golden, layer: str, photo: str) -> None:
    reference = golden.reference(photo)
    found = golden.run(reference)
    if layer != "early":  # where the reference keeps the weights only
        assert relative_l2(output(found, "activations", layer), reference[f"{layer}.A"]) <= 1e-5
    for i, rank in enumerate(("top1", "top2")):
        expected = reference[f"{layer}.{rank}.weights.GradCAM"]
        assert relative_l2(output(found, "weights", layer)[0, i], expected) <= TOLERANCE[layer]


@pytest.mark.parametrize("photo", PHOTOS)
@pytest.mark.parametrize("layer", ["last", "mid"])
def test_full_gradients(golden: Golden, layer: str, photo: str) -> None:
    reference = golden.reference(photo)
    gradients = output(golden.run(reference), "gradients", layer)[0]
    for i, rank in enumerate(("top1", "top2")):
        assert relative_l2(gradients[i], reference[f"{layer}.{rank}.G"][0]) <= TOLERANCE[layer]


@pytest.mark.parametrize("photo", PHOTOS)
def test_scores_and_ranks(golden: Golden, photo: str) -> None:
    reference = golden.reference(photo)
    found = Engine(golden.path).run({"input": reference["input"], "target": np.array([[-1, -2]])})
    assert found["target_index"][0].tolist() == reference["classes"].tolist()
    expected = reference["logits"][0, reference["classes"]]
    np.testing.assert_allclose(found["target_score"][0], expected, rtol=1e-5)
    np.testing.assert_allclose(found["logits"], reference["logits"], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("photo", PHOTOS)
@pytest.mark.parametrize("layer", ["last", "mid"])
def test_heatmaps_from_the_reference_input(golden: Golden, layer: str, photo: str) -> None:
    """All of grad-cam's steps after the network, from the same input tensor. Values lie in 0..1."""
    reference = golden.reference(photo)
    result = Explainer(golden.path).explain(
        tensor=reference["input"], top_k=2, layers=[str(reference[f"{layer}.tensor"])]
    )
    for explanation, rank in zip(result.explanations, ("top1", "top2"), strict=True):
        expected = reference[f"{layer}.{rank}.cam.GradCAM"]
        assert np.abs(explanation.input_heatmap - expected).max() <= (2e-5 if layer == "last" else 1e-3)


@pytest.mark.parametrize("photo", PHOTOS)
def test_heatmaps_from_the_photo(golden: Golden, photo: str) -> None:
    """The whole way: decoding and preprocessing by the manifest, network, heatmap."""
    reference = golden.reference(photo)
    explainer = Explainer(golden.path)
    result = explainer.explain(golden.shared / "photos" / PHOTOS[photo], top_k=2)
    assert [prediction.class_index for prediction in result.predictions[:2]] == reference["classes"].tolist()
    for explanation, rank in zip(result.explanations, ("top1", "top2"), strict=True):
        expected = reference[f"last.{rank}.cam.GradCAM"]
        assert np.abs(explanation.input_heatmap - expected).max() <= 2e-5
