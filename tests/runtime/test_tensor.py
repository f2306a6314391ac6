"""Channel order, layout, normalisation and element type of input tensors."""

from __future__ import annotations

import numpy as np
import pytest

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.errors import InvalidGraphError, InvalidInputError, UnsupportedError
from camgraph_runtime.preprocess import Preprocessor
from camgraph_runtime.preprocess.tensor import to_tensor

PHOTO = np.random.default_rng(5).integers(0, 256, (6, 8, 3), np.uint8)


def spec(**changes: object) -> pb.InputSpec:
    base = pb.InputSpec(
        tensor=pb.TensorSpec(name="x", dtype="float32", shape=["N", "3", "6", "8"]),
        layout=pb.LAYOUT_NCHW,
        channel_order=pb.CHANNEL_ORDER_RGB,
        divisor=255,
    )
    base.MergeFrom(pb.InputSpec(**changes))
    return base


def test_nchw_rgb() -> None:
    tensor = Preprocessor(spec()).prepare(PHOTO).tensor
    assert tensor.shape == (1, 3, 6, 8)
    assert tensor.flags.c_contiguous
    np.testing.assert_array_equal(tensor[0, 2], PHOTO[:, :, 2].astype(np.float32) / np.float32(255))


def test_bgr_takes_mean_and_std_in_its_own_order() -> None:
    prepared = Preprocessor(
        spec(channel_order=pb.CHANNEL_ORDER_BGR, divisor=1, mean=[104, 117, 123], std=[1, 2, 4])
    ).prepare(PHOTO)
    blue, red = PHOTO[:, :, 2].astype(np.float32), PHOTO[:, :, 0].astype(np.float32)
    np.testing.assert_array_equal(prepared.tensor[0, 0], blue - 104)
    np.testing.assert_array_equal(prepared.tensor[0, 2], (red - 123) / 4)
    np.testing.assert_array_equal(prepared.network_image, PHOTO)


def test_nhwc() -> None:
    tensor = pb.TensorSpec(name="x", dtype="float32", shape=["N", "6", "8", "3"])
    value = (
        Preprocessor(pb.InputSpec(tensor=tensor, layout=pb.LAYOUT_NHWC, channel_order=pb.CHANNEL_ORDER_RGB, divisor=1))
        .prepare(PHOTO)
        .tensor
    )
    np.testing.assert_array_equal(value[0], PHOTO)


def test_grey_is_itu_r_601_luma() -> None:
    tensor = pb.TensorSpec(name="x", dtype="float32", shape=["N", "1", "6", "8"])
    value = (
        Preprocessor(pb.InputSpec(tensor=tensor, layout=pb.LAYOUT_NCHW, channel_order=pb.CHANNEL_ORDER_GRAY, divisor=1))
        .prepare(PHOTO)
        .tensor
    )
    assert value.shape == (1, 1, 6, 8)
    luma = PHOTO @ np.array([0.299, 0.587, 0.114])
    np.testing.assert_allclose(value[0, 0], luma, atol=1)


@pytest.mark.parametrize(("dtype", "divisor"), [("uint8", 1.0), ("float16", 255.0), ("float64", 255.0)])
def test_element_types(dtype: str, divisor: float) -> None:
    value = Preprocessor(spec(tensor=pb.TensorSpec(dtype=dtype), divisor=divisor)).prepare(PHOTO).tensor
    assert value.dtype == dtype
    np.testing.assert_allclose(value[0], PHOTO.transpose(2, 0, 1) / divisor, rtol=1e-3)


def test_whole_numbers_are_rounded_and_kept_in_range() -> None:
    value = Preprocessor(spec(tensor=pb.TensorSpec(dtype="int8"), divisor=1, mean=[128], std=[0.5])).prepare(PHOTO)
    expected = np.clip((PHOTO.astype(int) - 128) * 2, -128, 127)
    np.testing.assert_array_equal(value.tensor[0], expected.transpose(2, 0, 1))


@pytest.mark.parametrize("layout", [pb.LAYOUT_NCHW, pb.LAYOUT_NHWC])
@pytest.mark.parametrize("dtype", ["float32", "float16", "float64", "int8", "uint8"])
@pytest.mark.parametrize("order", [pb.CHANNEL_ORDER_RGB, pb.CHANNEL_ORDER_BGR])
def test_bytes_are_looked_up_to_the_values_that_are_computed_of_numbers(layout: int, dtype: str, order: int) -> None:
    shape = ["N", "6", "8", "3"] if layout == pb.LAYOUT_NHWC else ["N", "3", "6", "8"]
    wanted = pb.InputSpec(
        tensor=pb.TensorSpec(name="x", dtype=dtype, shape=shape),
        layout=layout,
        channel_order=order,
        divisor=255 if dtype.startswith("float") else 1,
        mean=[0.485, 0.456, 0.406],
        std=[0.229, 0.224, 0.225],
    )
    of_bytes, of_numbers = to_tensor(PHOTO, wanted), to_tensor(PHOTO.astype(np.float32), wanted)
    assert of_bytes.dtype == of_numbers.dtype == dtype
    assert of_bytes.flags.c_contiguous
    np.testing.assert_array_equal(of_bytes, of_numbers)


def test_a_photo_of_another_size_without_a_resize_rule_is_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"The photo is 9 x 7 pixels .* wants 8 x 6"):
        Preprocessor(spec()).prepare(np.zeros((7, 9, 3), np.uint8))


@pytest.mark.parametrize("missing", ["layout", "channel_order"])
def test_an_unstated_input_is_refused(missing: str) -> None:
    unstated = spec()
    unstated.ClearField(missing)
    with pytest.raises(UnsupportedError, match="does not say how a photo becomes its input"):
        Preprocessor(unstated)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"divisor": -1.0}, "not positive"),
        ({"std": [1.0, 0.0, 1.0]}, "not positive"),
        ({"mean": [1.0, 2.0]}, "2 values of input mean for 3 channels"),
        ({"value_low": [0.0] * 2, "value_high": [1.0] * 2}, "2 values of input range for 3 channels"),
        ({"value_low": [0.0] * 3}, "an input range that is not one of numbers"),
        ({"value_low": [0.0] * 3, "value_high": [float("nan")] * 3}, "an input range that is not one of numbers"),
        ({"band_names": ["B02", "B03"]}, "2 values of input names for 3 channels"),
        ({"tensor": pb.TensorSpec(dtype="float31")}, "float31"),
    ],
)
def test_numbers_that_cannot_be_used_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidGraphError, match=message):
        Preprocessor(spec(**changes))
