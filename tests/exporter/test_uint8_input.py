"""Graphs that take bytes and prepare the pixels themselves: the same maps, a quarter of the bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from camgraph_core.errors import UsageError
from camgraph_exporter import Input, verify
from camgraph_exporter.errors import ModelFileError
from camgraph_runtime import Explainer
from support.exporting import exported
from support.image_models import NCHW, NHWC, SIDE, Front, cast, classifier, imagenet, steps, to_nchw

PHOTO = np.random.default_rng(5).integers(0, 256, (3 * SIDE, 2 * SIDE, 3), np.uint8)
GRAY = PHOTO[:, :, 0]

CLOSE = {"rtol": 1e-5, "atol": 1e-6}
"""Sums and products of a pixel are rounded in another order in the graph."""


@dataclass(frozen=True)
class Case:
    """A model, and how its photos were prepared in training."""

    input: Input
    shape: Sequence[int | str] = NCHW
    front: Front | None = None
    dtype: int = TensorProto.FLOAT
    said: str = ""


CASES = {
    "imagenet": Case(
        Input.preset("imagenet"),
        said="computes (x / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225] of them itself.",
    ),
    "channels last": Case(Input.preset("imagenet"), NHWC, to_nchw),
    "blue first": Case(
        Input.preset("caffe"), front=steps(("Mul", 0.02)), said="computes (x - [104, 117, 123]) of them itself."
    ),
    "one number for all channels": Case(Input.preset("minus-one-one"), said="computes (x / 127.5 - 1) of them itself."),
    "a letterbox": Case(Input(based_on="zero-one", resize="letterbox"), said="computes x / 255 of them itself."),
    "grey": Case(Input(divisor=255, mean=(0.5,), std=(0.25,)), ("N", 1, SIDE, SIDE)),
    "half precision": Case(Input.preset("imagenet"), front=cast, dtype=TensorProto.FLOAT16),
    "a graph that prepares pixels": Case(Input(), front=imagenet, said="computes x of them itself."),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_maps_of_bytes_are_those_of_numbers(case: Case, tmp_path: Path) -> None:
    channels = 1 if 1 in case.shape else 3
    model = classifier(case.front, case.shape, case.dtype, channels)
    for folder in ("numbers", "bytes"):
        (tmp_path / folder).mkdir()
    numbers = exported(model, tmp_path / "numbers", input=case.input)
    pixels = exported(model, tmp_path / "bytes", input=case.input, uint8_input=True)
    assert pixels.manifest.certificate.passed
    assert pixels.manifest.input.tensor.dtype == "uint8"
    assert list(pixels.manifest.input.steps) == list(numbers.manifest.input.steps)
    assert any(case.said in note for note in pixels.manifest.notes), list(pixels.manifest.notes)

    here, there = Explainer(tmp_path / "numbers" / "cam.onnx"), Explainer(tmp_path / "bytes" / "cam.onnx")
    photo = GRAY if channels == 1 else PHOTO
    half = case.dtype == TensorProto.FLOAT16
    taken = there.prepare(photo).tensor
    assert taken.dtype == np.uint8
    assert taken.size == here.prepare(photo).tensor.size
    expected, found = here.explain(photo, top_k=2), there.explain(photo, top_k=2)
    for wanted, given in zip(expected.explanations, found.explanations, strict=True):
        assert given.target.class_index == wanted.target.class_index
        close = {"rtol": 2e-2, "atol": 2e-2} if half else CLOSE
        np.testing.assert_allclose(given.raw_maps[0], wanted.raw_maps[0], **close)
        np.testing.assert_allclose(given.heatmap, wanted.heatmap, **close)


def test_the_checks_can_be_repeated(tmp_path: Path) -> None:
    exported(classifier(), tmp_path, input=Input.preset("imagenet"), uint8_input=True)
    assert verify(tmp_path / "cam.onnx").passed


def test_the_image_has_a_guided_gradient(tmp_path: Path) -> None:
    """The gradient is that of a pixel: the one of the normalised number, times what a pixel changes it by."""
    for folder in ("numbers", "bytes"):
        (tmp_path / folder).mkdir()
    stated = Input(divisor=255, mean=(0.5,), std=(0.25,))
    exported(classifier(), tmp_path / "numbers", input=stated, guided=True)
    exported(classifier(), tmp_path / "bytes", input=stated, guided=True, uint8_input=True)
    here, there = Explainer(tmp_path / "numbers" / "cam.onnx"), Explainer(tmp_path / "bytes" / "cam.onnx")
    number = here.explain(PHOTO, method="guided-grad-cam").explanations[0].output("guided")
    pixel = there.explain(PHOTO, method="guided-grad-cam").explanations[0].output("guided")
    np.testing.assert_allclose(pixel * (255 * 0.25), number, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(
    ("model", "options", "error", "text"),
    [
        (classifier(), {}, UsageError, "how is not guessed: state it, as by --preset"),
        (classifier(cast, dtype=TensorProto.UINT8), {}, UsageError, "The model's input is uint8 already"),
        (
            classifier(),
            {"input": Input(based_on="raw", channel_order="stored")},
            UsageError,
            "go in as they are stored, with any values",
        ),
    ],
    ids=["a guess", "bytes already", "stored values"],
)
def test_what_cannot_take_bytes_is_refused(
    model: onnx.ModelProto, options: dict[str, Input], error: type[Exception], text: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=text):
        exported(model, tmp_path, uint8_input=True, **options)
    assert not (tmp_path / "cam.onnx").exists()


def test_an_old_opset_is_refused(tmp_path: Path) -> None:
    nodes = [
        onnx.helper.make_node("GlobalAveragePool", ["relu"], ["pooled"]),
        onnx.helper.make_node("Flatten", ["pooled"], ["scores"]),
    ]
    kernel = onnx.numpy_helper.from_array(np.random.default_rng(0).normal(size=(5, 3, 3, 3)).astype(np.float32), "w")
    nodes = [
        onnx.helper.make_node("Conv", ["image", "w"], ["conv"], kernel_shape=[3, 3]),
        onnx.helper.make_node("Relu", ["conv"], ["relu"]),
        *nodes,
    ]
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        nodes,
        "old",
        [value("image", TensorProto.FLOAT, [1, 3, SIDE, SIDE]), value("w", TensorProto.FLOAT, [5, 3, 3, 3])],
        [value("scores", TensorProto.FLOAT, [1, 5])],
        [kernel],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 6)], ir_version=3)
    with pytest.raises(ModelFileError, match="The model has opset 6, and --uint8-input needs 7 at least"):
        exported(model, tmp_path, input=Input.preset("imagenet"), uint8_input=True)
