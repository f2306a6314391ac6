"""Methods, profile and overlay against grad-cam 1.5.7 on a trained model's own activations and gradients."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from camgraph.v1 import manifest_pb2 as pb
from camgraph_runtime.maps.cam import METHODS, grad_cam_plus_plus_weights, xgrad_cam_weights
from camgraph_runtime.maps.profiles import pytorch_grad_cam
from camgraph_runtime.pictures.overlay import overlay
from camgraph_runtime.preprocess import Preprocessor, decode

Arrays = Mapping[str, np.ndarray]

NAMES = {
    "grad-cam": "GradCAM",
    "grad-cam++": "GradCAMPlusPlus",
    "xgrad-cam": "XGradCAM",
    "layer-cam": "LayerCAM",
    "hires-cam": "HiResCAM",
    "grad-cam-elementwise": "GradCAMElementWise",
    "eigen-cam": "EigenCAM",
    "eigen-grad-cam": "EigenGradCAM",
}
EIGEN = ("eigen-cam", "eigen-grad-cam")
BITWISE = [name for name in NAMES if name not in EIGEN]
FILES = [
    f"{model}.{photo}"
    for model in ("cifar10_resnet20", "efficientnet_lite0")
    for photo in ("chelsea", "coffee", "rocket")
]
COMMITTED = "cifar10_resnet20.chelsea"


@pytest.fixture(scope="module", params=["committed", *(name for name in FILES if name != COMMITTED)])
def golden(request: pytest.FixtureRequest, data: Path) -> Arrays:
    if request.param == "committed":
        return _load(data / f"{COMMITTED}.npz")
    folder: Path = request.getfixturevalue("shared")
    return _load(folder / "reference" / f"{request.param}.npz")


def _load(path: Path) -> Arrays:
    with np.load(path) as arrays:
        return {key: arrays[key] for key in arrays.files}


def _raw(golden: Arrays, layer: str, target: str, method: str) -> np.ndarray:
    activations, gradients = golden[f"{layer}.A"][0], golden[f"{layer}.{target}.G"][0]
    return METHODS[method](activations, golden[f"{layer}.{target}.weights.GradCAM"], gradients)


def _key(layer: str, target: str, kind: str, method: str) -> str:
    return f"{layer}.{kind}.EigenCAM" if method == "eigen-cam" else f"{layer}.{target}.{kind}.{NAMES[method]}"


def test_every_method_is_compared() -> None:
    assert set(NAMES) | {"guided-grad-cam"} == set(METHODS)


@pytest.mark.parametrize("method", BITWISE)
@pytest.mark.parametrize("target", ["top1", "top2"])
@pytest.mark.parametrize("layer", ["last", "mid"])
def test_maps_heatmaps_and_overlays_are_bit_identical(golden: Arrays, layer: str, target: str, method: str) -> None:
    raw = _raw(golden, layer, target, method)
    assert raw.dtype == np.float32
    np.testing.assert_array_equal(raw, golden[_key(layer, target, "raw", method)])

    heatmap = pytorch_grad_cam([raw], golden["image_u8"].shape[:2])
    assert heatmap.dtype == np.float32
    np.testing.assert_array_equal(heatmap, golden[_key(layer, target, "cam", method)])

    key = _key(layer, target, "overlay", method)
    if key in golden:
        np.testing.assert_array_equal(overlay(golden["image_u8"], heatmap), golden[key])


@pytest.mark.parametrize("method", EIGEN)
@pytest.mark.parametrize("target", ["top1", "top2"])
@pytest.mark.parametrize("layer", ["last", "mid"])
def test_eigen_maps_agree_up_to_the_sign_rule(golden: Arrays, layer: str, target: str, method: str) -> None:
    raw = _raw(golden, layer, target, method)
    assert raw.ravel()[np.argmax(np.abs(raw))] > 0, "the cell of largest magnitude is positive"

    reference = golden[_key(layer, target, "raw", method)]
    sign = 1.0 if np.vdot(raw, reference) > 0 else -1.0
    scale = np.abs(reference).max()
    np.testing.assert_allclose(sign * raw / scale, reference / scale, rtol=0, atol=1e-6)

    # The reference kept LAPACK's sign: with that sign the heatmap is the reference's.
    heatmap = pytorch_grad_cam([np.float32(sign) * raw], golden["image_u8"].shape[:2])
    np.testing.assert_allclose(heatmap, golden[_key(layer, target, "cam", method)], rtol=0, atol=1e-6)


@pytest.mark.parametrize("target", ["top1", "top2"])
def test_two_layers_fuse_bit_identically_in_either_order(golden: Arrays, target: str) -> None:
    maps = [_raw(golden, layer, target, "grad-cam") for layer in ("mid", "last")]
    expected = golden[f"mid+last.{target}.cam.GradCAM"]
    np.testing.assert_array_equal(pytorch_grad_cam(maps, golden["image_u8"].shape[:2]), expected)
    np.testing.assert_array_equal(pytorch_grad_cam(maps[::-1], golden["image_u8"].shape[:2]), expected)


@pytest.mark.parametrize("target", ["top1", "top2"])
@pytest.mark.parametrize("layer", ["last", "mid"])
def test_channel_weights_are_bit_identical(golden: Arrays, layer: str, target: str) -> None:
    activations, gradients = golden[f"{layer}.A"][0], golden[f"{layer}.{target}.G"][0]
    prefix = f"{layer}.{target}.weights"
    np.testing.assert_array_equal(
        grad_cam_plus_plus_weights(activations, gradients), golden[f"{prefix}.GradCAMPlusPlus"]
    )
    np.testing.assert_array_equal(xgrad_cam_weights(activations, gradients), golden[f"{prefix}.XGradCAM"])


EFFICIENTNET_LITE0 = pb.InputSpec(
    tensor=pb.TensorSpec(name="input", dtype="float32", shape=["N", "3", "224", "224"]),
    layout=pb.LAYOUT_NCHW,
    channel_order=pb.CHANNEL_ORDER_RGB,
    divisor=1,
    mean=[127, 127, 127],
    std=[128, 128, 128],
    steps=[
        pb.GeometryStep(resize_shorter_side=pb.ResizeShorterSide(size=256, filter=pb.FILTER_BICUBIC)),
        pb.GeometryStep(center_crop=pb.CenterCrop(height=224, width=224)),
    ],
)
CIFAR10_RESNET20 = pb.InputSpec(
    tensor=pb.TensorSpec(name="input", dtype="float32", shape=["N", "3", "32", "32"]),
    layout=pb.LAYOUT_NCHW,
    channel_order=pb.CHANNEL_ORDER_RGB,
    divisor=255,
    mean=[0.485, 0.456, 0.406],
    std=[0.229, 0.224, 0.225],
    steps=[
        pb.GeometryStep(center_square=pb.CenterSquare()),
        pb.GeometryStep(resize_to=pb.ResizeTo(height=32, width=32, filter=pb.FILTER_LANCZOS)),
    ],
)
SPECS = {"efficientnet_lite0": EFFICIENTNET_LITE0, "cifar10_resnet20": CIFAR10_RESNET20}


@pytest.mark.parametrize("photo", ["chelsea.png", "coffee.png", "rocket.jpg"])
@pytest.mark.parametrize("model", SPECS)
def test_photos_become_the_exact_input(shared: Path, model: str, photo: str) -> None:
    golden = _load(shared / "reference" / f"{model}.{Path(photo).stem}.npz")
    prepared = Preprocessor(SPECS[model]).prepare(decode(shared / "photos" / photo, max_pixels=1_000_000))
    np.testing.assert_array_equal(prepared.network_image, golden["image_u8"])
    assert prepared.tensor.dtype == np.float32
    np.testing.assert_array_equal(prepared.tensor, golden["input"])
