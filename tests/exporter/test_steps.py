"""Scores of steps along the image, as text recognisers give them: they are told from boxes by where they lie."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from camgraph.v1 import manifest_pb2 as pb
from camgraph_exporter import export
from camgraph_runtime.run.engine import Engine
from support.exporting import images, in_memory
from support.nets import Net, trunk

_CHARACTERS = 30


def _recogniser(*, characters: int = _CHARACTERS, softmax: bool = False, last: bool = True) -> onnx.ModelProto:
    """Eight steps from left to right: [N, 8, characters], or [N, characters, 8]."""
    net = Net(seed=4)
    row = net.node("AveragePool", trunk(net, net.image()), kernel_shape=[8, 1], strides=[8, 1])
    columns = net.node("Reshape", row, net.ints(0, 16, 8))
    steps = net.node("Transpose", columns, perm=[0, 2, 1])
    text = net.node("MatMul", steps, net.random(16, characters), name="text" if last and not softmax else "")
    if softmax:
        text = net.node("Softmax", text, axis=2, name="text" if last else "")
    out = text if last else net.node("Transpose", text, perm=[0, 2, 1], name="text")
    return net.model(out, shapes={out: ("N", 8, characters) if last else ("N", characters, 8)})


@pytest.mark.parametrize("characters", [5, _CHARACTERS])  # fewer than there are steps, and more
@pytest.mark.parametrize("softmax", [False, True])
@pytest.mark.parametrize("last", [False, True])
def test_the_characters_of_a_recogniser_are_its_classes(
    tmp_path: Path, characters: int, softmax: bool, last: bool
) -> None:
    onnx.save(_recogniser(characters=characters, softmax=softmax, last=last), tmp_path / "source.onnx")
    manifest = export(tmp_path / "source.onnx", tmp_path / "cam.onnx").manifest
    assert (manifest.head.num_classes, manifest.head.num_anchors) == (characters, 8)
    told = [note for note in manifest.notes if "box" in note]
    assert len(told) == 1
    assert "The 8 candidates of" in told[0]
    assert "are no boxes but steps along the image" in told[0]

    place = {"target": np.array([[characters - 1]] * 2), "anchor": np.array([[3]] * 2)}
    found = Engine(tmp_path / "cam.onnx").run({"image": images((2, 3, 16, 16)), **place})
    text = found["text"] if last else found["text"].transpose(0, 2, 1)
    rest = text - text.mean(axis=2, keepdims=True) if not softmax else np.log(text)
    score = found["target_score"][:, 0]
    if softmax:  # up to the sum of the step, which is the same for all characters
        one = Engine(tmp_path / "cam.onnx").run(
            {"image": images((2, 3, 16, 16)), "target": np.array([[0]] * 2), "anchor": place["anchor"]}
        )
        np.testing.assert_allclose(
            score - one["target_score"][:, 0], rest[:, 3, characters - 1] - rest[:, 3, 0], rtol=1e-3, atol=1e-4
        )
    else:
        np.testing.assert_array_equal(score, text[:, 3, characters - 1])


def test_boxes_that_fill_the_image_stay_boxes(tmp_path: Path) -> None:
    net = Net(seed=7)
    maps = net.conv(trunk(net, net.image()), (16, 4), kernel=1)
    model = net.model(net.node("Reshape", maps, net.ints(0, 4, 64), name="scores"), shapes={"scores": ("N", 4, 64)})
    manifest = in_memory(model, tmp_path).manifest
    assert manifest.task == pb.TASK_DETECTION
    assert (manifest.head.num_classes, manifest.head.num_anchors) == (4, 64)
    assert not any("steps along the image" in note for note in manifest.notes)
