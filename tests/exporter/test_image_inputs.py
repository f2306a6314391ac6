"""Images by what they are: the exported graph predicts from a photo what the trained model predicts from its pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto

from camgraph_core.errors import UsageError
from camgraph_exporter import Input
from support.exporting import exported
from support.image_models import (
    BGR_MEANS,
    MEAN,
    NCHW,
    NHWC,
    PHOTO,
    SIDE,
    STD,
    Front,
    batch_norm,
    cast,
    channel_by_channel,
    check,
    classifier,
    column,
    depthwise,
    dequantised,
    flipped,
    imagenet,
    inception,
    padded,
    resized,
    steps,
    tensor_of,
    then,
    to_nchw,
)

PIXELS = PHOTO.astype(np.float32)


@dataclass(frozen=True)
class Case:
    """A model, the values [H, W, C] that it takes for `PHOTO`, and words of the note that says so."""

    front: Front
    values: np.ndarray
    said: str = ""
    shape: Sequence[int | str] = NCHW
    dtype: int = TensorProto.FLOAT


FORMULA = "The graph itself computes (x - [123.7, 116.3, 103.5]) / [58.4, 57.12, 57.37] on values 0..255"
ON_ONE = "The graph itself computes (x - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225] on values 0..1"
KERAS = "The graph itself computes (x - 127.5) / 127.5 on values 0..255"
BLUE = "Its means are those of ImageNet with blue first."
CASES = {
    "divided, less mean, by std": Case(imagenet, PIXELS, FORMULA),
    "times, then less": Case(
        steps(("Mul", column([1 / s for s in STD], 1 / 255)),
              ("Add", column([-m / s for m, s in zip(MEAN, STD, strict=True)]))),
        PIXELS, FORMULA,
    ),
    "batch normalisation": Case(batch_norm, PIXELS, FORMULA),
    "depthwise convolution": Case(depthwise, PIXELS, FORMULA),
    "channel by channel": Case(channel_by_channel, PIXELS, FORMULA),
    "after padding": Case(then(padded, imagenet), PIXELS, FORMULA),
    "before padding": Case(then(imagenet, padded), PIXELS, FORMULA),
    "after a resize": Case(then(resized, imagenet), PIXELS, FORMULA),
    "channels last, then a transpose": Case(
        then(steps(("Div", 255), ("Sub", np.float32(MEAN)), ("Div", np.float32(STD))), to_nchw), PIXELS, FORMULA, NHWC
    ),
    "a transpose, then arithmetic": Case(then(to_nchw, imagenet), PIXELS, FORMULA, NHWC),
    "Keras Rescaling": Case(then(steps(("Mul", 1 / 127.5), ("Add", -1)), to_nchw), PIXELS, KERAS, NHWC),
    "Keras Rescaling to 0..1": Case(
        then(to_nchw, steps(("Mul", 1 / 255))), PIXELS, "computes x / 255 on values 0..255", NHWC
    ),
    "a mean image": Case(
        steps(("Sub", 120 + 10 * np.random.default_rng(0).random((3, SIDE, SIDE), np.float32)), ("Mul", 0.02)), PIXELS,
        "The graph itself computes about (x - [12",
    ),
    "blue first": Case(steps(("Sub", column(BGR_MEANS)), ("Mul", 0.02)), PIXELS[:, :, ::-1], BLUE),
    "red first, exchanged inside": Case(
        then(flipped, steps(("Sub", column(BGR_MEANS)), ("Mul", 0.02))), PIXELS, "(x - [123.7, 116.8, 103.9])"
    ),
    "blue first, channels last": Case(
        then(steps(("Sub", np.float32(BGR_MEANS)), ("Mul", 0.02)), to_nchw), PIXELS[:, :, ::-1], BLUE, NHWC
    ),
    "on numbers 0..1": Case(steps(("Sub", column(MEAN)), ("Div", column(STD))), PIXELS / 255, ON_ONE),
    "on numbers 0..1, channels last": Case(
        then(steps(("Mul", 2), ("Sub", 1)), to_nchw), PIXELS / 255, "(x - 0.5) / 0.5 on values 0..1", NHWC
    ),
    "numbers 0..1 to pixels and on": Case(
        steps(("Mul", 255), ("Sub", column(BGR_MEANS[::-1])), ("Mul", 0.02)), PIXELS / 255, "on values 0..1"
    ),
    "on numbers -1..1": Case(
        steps(("Add", 1), ("Mul", 0.5)), PIXELS / 127.5 - 1, "(x - -1) / 2 on values -1..1"
    ),
    "bytes": Case(
        then(cast, imagenet), PIXELS, "The input is uint8, so pixels go in as they are.", NCHW, TensorProto.UINT8
    ),
    "bytes, channels last": Case(
        then(cast, to_nchw, steps(("Div", 255))), PIXELS, "The input is uint8", NHWC, TensorProto.UINT8
    ),
    "dequantised bytes": Case(
        dequantised(1 / 64, 114, np.uint8), PIXELS, "The input is uint8", NCHW, TensorProto.UINT8
    ),
    "int8": Case(
        dequantised(1 / 255, -128, np.int8), PIXELS - 128, "The input is int8, so pixels 0..255 go in less 128.", NCHW,
        TensorProto.INT8,
    ),
    "int8 around zero, channels last": Case(
        then(dequantised(1 / 128, 0, np.int8), to_nchw), PIXELS - 128, "The input is int8", NHWC, TensorProto.INT8
    ),
    "int32": Case(then(cast, steps(("Mul", 1 / 255))), PIXELS, "The input is int32", NCHW, TensorProto.INT32),
    "uint16 of a whole range": Case(
        then(cast, steps(("Div", 65535))), PIXELS * 257, "pixels 0..255 are stretched to 0..65535", NCHW,
        TensorProto.UINT16,
    ),
}  # fmt: skip  # a table, in rows of its own


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_photo_is_prepared_once(case: Case, tmp_path: Path) -> None:
    model = classifier(case.front, case.shape, case.dtype)
    graph = exported(model, tmp_path)
    assert any(case.said in note for note in graph.manifest.notes), list(graph.manifest.notes)
    assert graph.manifest.input.told_by_graph
    assert not graph.manifest.input.stated
    check(graph, tmp_path, PHOTO, tensor_of(case.values, case.shape, model))


@pytest.mark.parametrize("front", [None, inception, steps(("Mul", 1.0)), padded], ids=["none", "own", "one", "padding"])
def test_what_tells_nothing_stays_a_guess(front: Front | None, tmp_path: Path) -> None:
    manifest = exported(classifier(front), tmp_path).manifest
    assert list(manifest.notes) == []
    assert not manifest.input.told_by_graph
    np.testing.assert_allclose(manifest.input.mean, MEAN)
    assert manifest.input.divisor == 255


def test_what_is_stated_is_done_and_said_when_the_graph_does_it_too(tmp_path: Path) -> None:
    stated = Input.preset("imagenet")
    manifest = exported(classifier(imagenet), tmp_path, input=stated).manifest
    assert list(manifest.input.mean) == list(MEAN)
    assert list(manifest.notes) == [
        f"{FORMULA}. What was stated for the input is done before that; leave it out to have it done once."
    ]
    raw = exported(classifier(imagenet), tmp_path, input=Input.preset("raw")).manifest
    assert list(raw.notes) == [f"{FORMULA}, so pixels go in as they are."]


@pytest.mark.parametrize(
    ("dtype", "options", "levels"),
    [
        (TensorProto.UINT8, {"divisor": 255}, 2),
        (TensorProto.UINT8, {"based_on": "imagenet"}, 3),
        (TensorProto.INT8, {"based_on": "minus-one-one"}, 3),
        (TensorProto.INT32, {"based_on": "zero-one"}, 2),
        (TensorProto.UINT8, {"mean": (0.0,), "std": (64.0,)}, 5),
    ],
)
def test_a_handful_of_values_is_refused(dtype: int, options: dict[str, Any], levels: int, tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=f"of the 256 values of a pixel, what was stated leaves {levels} whole numbers"
    ):
        exported(classifier(cast, dtype=dtype), tmp_path, input=Input(**options))


def test_whole_numbers_can_be_stated(tmp_path: Path) -> None:
    stated = exported(classifier(cast, dtype=TensorProto.INT8), tmp_path, input=Input.preset("raw"))
    assert list(stated.manifest.input.mean) == [128] * 3
    own = Input(divisor=2, mean=(10,), std=(1,))
    kept = exported(classifier(cast, dtype=TensorProto.UINT8), tmp_path, input=own)
    assert (kept.manifest.input.divisor, list(kept.manifest.input.mean)) == (2, [10] * 3)
