"""The whole way of a user: export a trained model, serve it, explain photos through gRPC, stop the server."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from camgraph_client import Client
from camgraph_runtime import Target
from support.serving import run_camgraph, server_process

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
MODEL = "efficientnet_lite0"

# The object in the photo, as left, top, right, bottom in pixels.
PHOTOS = {
    "chelsea": (["tiger cat", "Egyptian cat"], (60, 0, 380, 300)),
    "coffee": (["espresso", "cup"], (170, 10, 430, 250)),
}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    source, output = EXAMPLES / "models" / f"{MODEL}.onnx", folder / f"{MODEL}.onnx"
    labels = EXAMPLES / "models" / "imagenet_classes.txt"
    arguments = ["export", source, "-o", output, "--labels", labels, "--preset", "efficientnet-lite"]
    result = run_camgraph(*map(str, arguments))
    assert result.returncode == 0, result.stderr
    return folder


@pytest.fixture(scope="module")
def server(models):
    with server_process(models) as process:
        yield process


@pytest.fixture(scope="module")
def client(server):
    with Client(server.address) as connected:
        yield connected


@pytest.mark.parametrize("photo", PHOTOS)
def test_heatmap_lies_on_the_object(client, photo):
    labels, (left, top, right, bottom) = PHOTOS[photo]
    result = client.model().explain(EXAMPLES / "photos" / f"{photo}.png", top_k=2)
    assert [score.label for score in result.predictions[:2]] == labels
    for explanation in result.explanations:
        heatmap = explanation.heatmap
        assert heatmap.shape == result.image_size[::-1]
        inside = heatmap[top:bottom, left:right].sum() / heatmap.sum()
        covered = (bottom - top) * (right - left) / heatmap.size
        assert inside > 0.75
        assert inside > 1.3 * covered
        row, column = np.unravel_index(heatmap.argmax(), heatmap.shape)
        assert left <= column < right
        assert top <= row < bottom


@pytest.mark.parametrize("photo", PHOTOS)
def test_heatmaps_and_weights_are_those_of_the_reference(client, shared, photo):
    golden = np.load(shared / "reference" / f"{MODEL}.{photo}.npz")
    result = client.model().explain(
        EXAMPLES / "photos" / f"{photo}.png", top_k=2, outputs=["input-heatmap", "weights", "activations"]
    )
    [layer] = result.explanations[0].layers
    assert layer == str(golden["last.tensor"])
    for rank, explanation in enumerate(result.explanations, start=1):
        assert explanation.target.class_index == golden["classes"][rank - 1]
        assert explanation.target.probability == pytest.approx(golden["probs"][rank - 1], rel=1e-4)
        assert np.abs(explanation.input_heatmap - golden[f"last.top{rank}.cam.GradCAM"]).max() < 2e-5
        weights = golden[f"last.top{rank}.weights.GradCAM"]
        assert np.linalg.norm(explanation.weights[0] - weights) < 1e-5 * np.linalg.norm(weights)


def test_command_line_through_the_server(server, tmp_path):
    photos = [str(EXAMPLES / "photos" / f"{name}.png") for name in PHOTOS]
    out = tmp_path / "out"
    result = run_camgraph("explain", *photos, "--server", server.address, "--top-k", "2", "-o", str(out))
    assert result.returncode == 0, result.stderr
    assert sorted(path.name for path in out.iterdir()) == [
        "chelsea.1-tiger_cat.png",
        "chelsea.2-Egyptian_cat.png",
        "chelsea.panel.png",
        "coffee.1-espresso.png",
        "coffee.2-cup.png",
        "coffee.panel.png",
    ]
    with Image.open(out / "chelsea.1-tiger_cat.png") as picture:
        assert picture.size == (451, 300)
    for label in ("tiger cat", "Egyptian cat", "espresso", "cup"):
        assert label in result.stdout


def test_a_label_in_place_of_an_index(client):
    photo = EXAMPLES / "photos" / "chelsea.png"
    result = client.model().explain(photo, targets=[Target.of_label("Tabby"), Target.index(281)])
    by_label, by_index = result.explanations
    assert by_label.target == by_index.target
    np.testing.assert_array_equal(by_label.heatmap, by_index.heatmap)


def test_server_stops_cleanly(models):
    with server_process(models, "--log-format", "json") as process:
        with Client(process.address) as client:
            client.model().explain(EXAMPLES / "photos" / "coffee.png", request_id="last words")
        process.signal(signal.SIGTERM)
        code, log = process.wait()
    assert code == 0
    calls = [entry for entry in map(json.loads, log.splitlines()) if entry["message"] == "call"]
    assert [call["request_id"] for call in calls] == ["last words"]
    assert calls[0]["status"] == "OK"
    assert calls[0]["inference_ms"] > 0
