"""Images that are no photos of 8 bits, all the way: exported, then explained in process, by command and by a server."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

from camgraph_client import Client
from camgraph_core.errors import InvalidInputError, UsageError
from camgraph_exporter import Input
from camgraph_runtime import Explainer
from support.exporting import camgraph, complaint, exported
from support.nets import CLASSES, Net
from support.serving import server_thread

SIDE = 32
TWELVE_BITS = "its largest value is 4095 of 65535: it was read as a dark one"


def model(channels: int) -> onnx.ModelProto:
    net = Net()
    stem = net.node(
        "Relu", net.conv(net.image(("N", channels, SIDE, SIDE)), (channels, 8), strides=[2, 2]), name="stem"
    )
    last = net.node("Relu", net.conv(stem, (8, 16)), name="last")
    output = net.node("Softmax", net.pooled_head(last, 16), name="probabilities", axis=1)
    return net.model(output, shapes={output: ("N", CLASSES)})


@pytest.fixture
def xray(tmp_path: Path) -> Path:
    """Noise of 12 bits in a picture of 16."""
    values = np.random.default_rng(0).integers(0, 4096, (SIDE, SIDE), np.uint16)
    values[0, 0] = 4095
    Image.fromarray(values).save(tmp_path / "xray.png")
    return tmp_path / "xray.png"


@pytest.fixture
def bands(tmp_path: Path) -> Path:
    np.save(tmp_path / "bands.npy", np.random.default_rng(1).random((SIDE, SIDE, 5), np.float32) * 255)
    return tmp_path / "bands.npy"


@pytest.fixture
def grey(tmp_path: Path) -> Path:
    exported(model(1), tmp_path, input=Input.preset("zero-one"))
    return tmp_path / "cam.onnx"


def test_a_window_means_the_same_everywhere(grey: Path, xray: Path, tmp_path: Path) -> None:
    values = np.asarray(Image.open(xray)).astype(np.float32)
    explainer = Explainer(grey)
    expected = explainer.explain(tensor=np.clip((values - 500) / 3000, 0, 1)[None, None])
    here = explainer.explain(xray, window=(500, 3500))
    assert here.warnings == expected.warnings
    np.testing.assert_allclose(here.explanations[0].heatmap, expected.explanations[0].heatmap, atol=1e-4)
    plain = explainer.explain(xray)
    assert TWELVE_BITS in plain.warnings[0]

    folder = tmp_path / "models"
    folder.mkdir()
    shutil.copy(grey, folder / "grey.onnx")
    with server_thread(folder) as server:
        with Client(server.address) as client:
            for image in (xray, values.astype(np.uint16)):
                there = client.model().explain(image, window=(500, 3500))
                np.testing.assert_array_equal(there.explanations[0].heatmap, here.explanations[0].heatmap)
                assert there.warnings == here.warnings
                assert client.model().explain(image).warnings == plain.warnings
            with pytest.raises((UsageError, InvalidInputError), match="A window goes from a low to a higher number"):
                client.model().explain(xray, window=(5, 5))
        for source in (["--graph", grey], ["--server", server.address]):
            said = camgraph("explain", xray, *source, "-o", tmp_path / "out")
            assert said.exit_code == 0, said.output
            assert TWELVE_BITS in said.stdout
            with_window = camgraph("explain", xray, *source, "--window", "500,3500", "-o", tmp_path / "out")
            assert with_window.exit_code == 0, with_window.output
            assert "4095" not in with_window.stdout
            for prediction in here.predictions:
                assert f"{prediction.probability:.4f}" in with_window.stdout


@pytest.mark.parametrize("text", ["5", "a,b", "1,2,3", ""])
def test_a_window_is_two_numbers(text: str, grey: Path, xray: Path) -> None:
    result = camgraph("explain", xray, "--graph", grey, "--window", text)
    said = f"A window is two numbers LOW,HIGH, such as 0,4095, or a name such as lung, not {text!r}."
    assert said in complaint(result, exit_code=2)


def test_a_tensor_has_no_window(grey: Path) -> None:
    with pytest.raises(UsageError, match="A window is for an image; a tensor goes in as it is"):
        Explainer(grey).explain(tensor=np.zeros((1, 1, SIDE, SIDE), np.float32), window=(0, 1))


def test_five_bands_are_explained_everywhere(bands: Path, tmp_path: Path) -> None:
    exported(model(5), tmp_path)
    array = np.load(bands)
    explainer = Explainer(tmp_path / "cam.onnx")
    here = explainer.explain(bands)
    expected = explainer.explain(tensor=(array / 255).transpose(2, 0, 1)[None].astype(np.float32))
    np.testing.assert_array_equal(here.explanations[0].heatmap, expected.explanations[0].heatmap)
    assert here.warnings == ["Pictures show bands 1, 2 and 3 of 5 as red, green and blue.", *expected.warnings]
    folder = tmp_path / "models"
    folder.mkdir()
    shutil.copy(tmp_path / "cam.onnx", folder / "bands.onnx")
    with server_thread(folder) as server, Client(server.address) as client:
        for image in (bands, array):
            there = client.model().explain(image, outputs=["heatmap", "overlay-png"])
            np.testing.assert_array_equal(there.explanations[0].heatmap, here.explanations[0].heatmap)
            assert there.warnings == here.warnings
        for source in (["--graph", tmp_path / "cam.onnx"], ["--server", server.address]):
            done = camgraph("explain", bands, *source, "-o", tmp_path / "out")
            assert done.exit_code == 0, done.output
            assert "Pictures show bands 1, 2 and 3 of 5 as red, green and blue." in done.stdout
            with Image.open(tmp_path / "out" / "bands.panel.png") as panel:
                assert panel.width > 200
