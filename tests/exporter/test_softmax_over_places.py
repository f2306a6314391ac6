"""A softmax over all places of a map, as keypoint networks end in: its places are no classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx

from camgraph.v1 import manifest_pb2 as pb
from camgraph_exporter import export
from camgraph_runtime.run.engine import Engine
from support.exporting import images
from support.nets import Net, trunk

_KEYPOINTS = 4


def _keypoints() -> onnx.ModelProto:
    net = Net(seed=6)
    maps = net.conv(trunk(net, net.image()), (16, _KEYPOINTS), kernel=1, name="maps")
    places = net.node("Softmax", net.node("Reshape", maps, net.ints(0, _KEYPOINTS, 64)), axis=2)
    heat = net.node("Reshape", places, net.ints(0, _KEYPOINTS, 8, 8), name="heat")
    return net.model(heat, "maps", shapes={"heat": ("N", _KEYPOINTS, 8, 8), "maps": ("N", _KEYPOINTS, 8, 8)})


def test_a_softmax_over_places_is_one_of_pixels(tmp_path: Path) -> None:
    onnx.save(_keypoints(), tmp_path / "source.onnx")
    manifest = export(tmp_path / "source.onnx", tmp_path / "cam.onnx").manifest
    assert (manifest.task, manifest.head.num_classes) == (pb.TASK_SEGMENTATION, _KEYPOINTS)
    assert (manifest.head.output_name, manifest.head.kind) == ("heat", pb.HEAD_KIND_PROBABILITY)
    assert manifest.layers[0].name == "last"

    mask = np.zeros((1, 1, 8, 8), np.uint8)
    mask[0, 0, 2:4, 5] = 1
    found = Engine(tmp_path / "cam.onnx").run(
        {"image": images((1, 3, 16, 16)), "target": np.array([[1]]), "mask": mask}
    )
    np.testing.assert_allclose(found["target_score"][0, 0], found["maps"][0, 1, 2:4, 5].sum(), rtol=1e-5)
