"""Images and scores that cannot be used are refused, with what to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from support.exporting import camgraph, complaint, refused
from support.nets import CLASSES, IMAGE, Net, classifier, trunk


def test_image_that_may_be_anything(tmp_path: Path) -> None:
    """Dynamic channels leave the convolution's three."""
    model = classifier(shape=("N", "C", *IMAGE[2:]))
    onnx.save(model, tmp_path / "net.onnx")
    result = camgraph("export", tmp_path / "net.onnx", "-o", tmp_path / "cam.onnx")
    if result.exit_code != 0:
        complaint(result, exit_code=1)


def test_a_rearranged_image_is_no_feature_map(tmp_path: Path) -> None:
    """Patches of the rescaled image, which nothing has looked at yet."""
    net = Net()
    pixels = net.node("Mul", net.image(), net.weight(np.float32(2)))
    patches = net.node("SpaceToDepth", pixels, blocksize=4)
    rows = net.node("Flatten", patches, axis=1)
    said = refused(net.model(net.linear(rows, 768, CLASSES, name="logits")), tmp_path)
    assert "no spatial feature map" in said


def _scores_of_weights() -> onnx.ModelProto:
    net = Net()
    net.image()
    return net.model(net.node("Softmax", net.node("Softmax", net.random(1, CLASSES))))


def _scores_of_the_batch_alone() -> onnx.ModelProto:
    net = Net()
    batch = net.node("Gather", net.node("Shape", net.image()), net.ints(0))
    rows = net.node("Expand", net.random(1, CLASSES), net.node("Concat", batch, net.ints(CLASSES), axis=0))
    return net.model(net.node("Softmax", rows))


@pytest.mark.parametrize("model", [_scores_of_weights, _scores_of_the_batch_alone])
def test_scores_that_no_image_changes(model: Callable[[], onnx.ModelProto], tmp_path: Path) -> None:
    assert "--score" in refused(model(), tmp_path)


@pytest.mark.parametrize("shape", [("N", 1 << 20, 32, 32), (1, 3, 40_000, 40_000), (400, 3, 1024, 1024)])
def test_inputs_that_are_too_large_to_be_tried(shape: tuple[int | str, ...], tmp_path: Path) -> None:
    said = refused(classifier(shape=shape), tmp_path)
    assert "too many to try the model with" in said
    assert str(shape[1]) in said


def _places_of_large_scores(operator: str) -> onnx.ModelProto:
    """Indices, whose number depends on the image."""
    net = Net()
    logits = net.pooled_head(trunk(net, net.image()), 16, name="real")
    model = net.model(net.node("NonZero", net.node(operator, logits), name="places"))
    model.graph.output[0].type.tensor_type.elem_type = onnx.TensorProto.INT64
    model.graph.output[0].type.tensor_type.ClearField("shape")
    return model


@pytest.mark.parametrize("operator", ["Round", "Relu"])
def test_scores_whose_number_depends_on_the_image(operator: str, tmp_path: Path) -> None:
    assert "places" in refused(_places_of_large_scores(operator), tmp_path)
