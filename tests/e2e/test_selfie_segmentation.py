"""A trained model with channels last, a fixed batch, and one logit a pixel, on a photo with a person."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

from camgraph_client import Client
from camgraph_core.place import Mask
from camgraph_exporter.float64 import Float64Evaluator
from camgraph_runtime import Explainer, Target
from support.compare import assert_same
from support.serving import server_process
from support.tasks import assert_close, export_model, load

LAYER = "multiply_6"
OUTPUTS = ["heatmap", "weights", "raw-map"]


@pytest.fixture(scope="module")
def repository(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("selfie")
    labels = tmp_path_factory.mktemp("labels") / "labels.txt"
    labels.write_text("background\nperson\n")
    options = ["--preset", "zero-one", "--labels", labels, "--layer", LAYER, "--gradients", "--guided"]
    export_model(shared / "models" / "selfie_segmentation.onnx", folder / "selfie.onnx", *options)
    return folder


@pytest.fixture(scope="module")
def explainer(repository: Path) -> Explainer:
    return load(repository / "selfie.onnx")


@pytest.fixture(scope="module")
def photo(shared: Path) -> Path:
    return shared / "photos" / "astronaut.png"


@pytest.fixture
def face() -> np.ndarray:
    mask = np.zeros((512, 512), np.uint8)
    mask[60:180, 170:280] = 1
    return mask


@pytest.fixture(scope="module")
def logits(explainer: Explainer, shared: Path, photo: Path) -> Callable[..., np.ndarray]:
    """The trained model's logits [256, 256] of the photo in float64, on demand from other activations."""
    evaluator = Float64Evaluator(onnx.load(shared / "models" / "selfie_segmentation.onnx"))
    image, score = explainer.manifest.input.tensor.name, explainer.manifest.head.score_tensor
    tensor = explainer.prepare(photo).tensor

    def evaluate(activations: np.ndarray | None = None) -> np.ndarray:
        feeds = {image: tensor} if activations is None else {image: tensor, LAYER: activations[None]}
        result: np.ndarray = evaluator.run([score], feeds)[0].reshape(256, 256)
        return result

    return evaluate


def test_the_person_is_found(explainer: Explainer, photo: Path) -> None:
    person, background = explainer.explain(photo).predictions
    assert (person.label, background.label) == ("person", "background")
    assert person.area == pytest.approx(0.545, abs=0.005)
    assert person.area is not None
    assert background.area == pytest.approx(1 - person.area)
    assert person.probability > 0.95


def test_the_person_is_explained_where_nobody_says_what(explainer: Explainer, photo: Path) -> None:
    """Of a photo of little more than background too, which has the larger area then."""
    edge = np.pad(np.asarray(Image.open(photo)), ((0, 0), (512, 512), (0, 0)), mode="edge")
    for image in (photo, edge):
        [explanation] = explainer.explain(image).explanations
        assert explanation.target.label == "person"
    assert explainer.explain(edge).predictions[0].label == "background"
    assert [item.target.label for item in explainer.explain(edge, top_k=2).explanations] == ["person", "background"]
    assert explainer.explain(edge, targets=[Target.of_rank(1)]).explanations[0].target.label == "background"


def test_a_mask_reaches_the_pixels_that_it_marks(
    explainer: Explainer, logits: Callable[..., np.ndarray], photo: Path, face: np.ndarray
) -> None:
    """The photo is scaled to half: the score is the logits' sum under the halved mask, and only there."""
    inside = logits()[30:90, 85:140]
    result = explainer.explain(
        photo, targets=[Target.of_label("person", place=Mask(face)), Target.index(0, place=Mask(face))]
    )
    person, background = (explanation.target for explanation in result.explanations)
    assert person.score == pytest.approx(inside.sum(), rel=1e-4)
    assert background.score == pytest.approx(-inside.sum(), rel=1e-4)
    assert person.area == background.area == inside.size / 256**2
    assert person.probability == pytest.approx((1 / (1 + np.exp(-inside))).mean(), rel=1e-4)


def test_weights_are_the_slopes_of_the_masked_score(
    explainer: Explainer, logits: Callable[..., np.ndarray], photo: Path, face: np.ndarray
) -> None:
    targets = [Target.of_label("person", place=Mask(face)), Target.of_label("person", place=Mask(face), negative=True)]
    plain, negative = explainer.explain(photo, targets=targets).explanations
    base = plain.activations[0].astype(np.float64)

    def masked(activations: np.ndarray) -> float:
        return float(logits(activations)[30:90, 85:140].sum())

    # The strongest channels, and a few of the others.
    order = np.argsort(-np.abs(plain.weights[0]))
    channels, step = [*order[:6], *order[6::24]], 1e-6
    slopes = []
    for channel in channels:
        direction = np.zeros_like(base)
        direction[channel] = step
        slopes.append((masked(base + direction) - masked(base - direction)) / (2 * step) / base[0].size)
    assert_close(plain.weights[0][channels], np.array(slopes), 1e-3)
    np.testing.assert_array_equal(negative.weights[0], -plain.weights[0])


def test_maps_of_a_mask_lie_near_it(explainer: Explainer, photo: Path, face: np.ndarray) -> None:
    """Layer by cell, the gradient of a region's score is largest where that region is seen."""
    shoulder = np.zeros_like(face)
    shoulder[330:470, 90:200] = 1
    for mask in (face, shoulder):
        [explanation] = explainer.explain(
            photo, targets=[Target.of_label("person", place=Mask(mask))], method="hires-cam", profile="raw"
        ).explanations
        strength = np.abs(explanation.raw_map)
        cells = mask[16::32, 16::32] == 1
        assert strength[cells].mean() > 2 * strength[~cells].mean()


def test_the_server_answers_like_the_runtime(
    repository: Path, explainer: Explainer, photo: Path, face: np.ndarray
) -> None:
    targets = [
        Target.of_label("person", place=Mask(face)),
        Target.of_rank(2),
        Target.index(1, contrast=Target.index(0)),
    ]
    with server_process(repository) as process, Client(process.address) as client:
        model = client.model()
        local = explainer.explain(photo, targets=targets)
        assert_same(model.explain(photo, targets=targets, outputs=OUTPUTS), local, OUTPUTS)
        [guided] = model.explain(photo, method="guided-grad-cam", outputs=["guided"]).explanations
    [wanted] = explainer.explain(photo, method="guided-grad-cam").explanations
    assert guided.guided.shape == (256, 256, 3)
    np.testing.assert_array_equal(guided.guided, wanted.guided)
