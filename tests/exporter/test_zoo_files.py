"""Nine networks of the first ONNX model zoo, as the package onnx carries them for its own tests.

They are what a user may still find: opset 9, IR version 3, weights listed as inputs, a batch of one, names with
slashes, LRN, grouped convolutions, channel shuffles, initializers that nothing reads. Their weights are fillers.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from camgraph_exporter import export
from camgraph_runtime.run.engine import Engine

FOLDER = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
# Where Grad-CAM looks: the last map in front of pooling or flattening.
LAYERS = {
    "bvlc_alexnet": (256, 12, 12),
    "densenet121": (1024, 7, 7),
    "inception_v1": (1024, 6, 6),
    "inception_v2": (1024, 7, 7),
    "resnet50": (2048, 7, 7),
    "shufflenet": (544, 7, 7),
    "squeezenet": (1000, 13, 13),
    "vgg19": (512, 14, 14),
    "zfnet512": (512, 12, 12),
}


@pytest.mark.parametrize("name", LAYERS)
def test_a_network_of_the_zoo_is_explained(name: str, tmp_path: Path) -> None:
    made = export(FOLDER / f"light_{name}.onnx", tmp_path / "cam.onnx")
    layer = made.manifest.layers[0]
    assert (layer.channels, layer.height, layer.width) == LAYERS[name]
    assert made.manifest.head.num_classes == 1000
    assert made.manifest.certificate.passed
    engine = Engine(tmp_path / "cam.onnx")
    image = made.manifest.input.tensor.name
    assert engine.inputs[image].shape[0] == "N", "a batch that is fixed at one is freed"
    pixels = np.random.default_rng(0).normal(size=(2, 3, 224, 224)).astype(np.float32)
    found = engine.run({image: pixels, "target": np.array([[3, -1], [7, -1]])})
    assert found["weights"].shape == (2, 2, LAYERS[name][0])
    assert np.abs(found["weights"]).max(axis=2).all()
