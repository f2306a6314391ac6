"""What a module or its weights state of their preprocessing is in the manifest: stated, and not guessed."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("torch", reason="PyTorch is not installed (extra `torch`).")
pytest.importorskip("onnxscript", reason="onnxscript is not installed (extra `torch`), so PyTorch cannot export.")

import torch

from camgraph.v1 import manifest_pb2 as pb
from camgraph_exporter import Input, export, inspect
from support.nets import classifier

_MEAN, _STD = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)
_TIMM = {"input_size": (3, 24, 24), "crop_pct": 0.75, "interpolation": "bicubic", "mean": _MEAN, "std": _STD}
_PROCESSOR = {"size": {"height": 16, "width": 16}, "image_mean": _MEAN, "image_std": _STD, "do_normalize": True}
_FROM_TIMM = "The preprocessing is that of the module's pretrained_cfg."


def _module(config: dict[str, Any] | None = None) -> torch.nn.Module:
    torch.manual_seed(0)
    module = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3),
        torch.nn.ReLU(),
        torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(),
        torch.nn.Linear(8, 5),
    )
    module.pretrained_cfg = config  # type: ignore[assignment]  # as timm sets it
    return module


def _weights() -> SimpleNamespace:
    """An entry of torchvision's enums of weights."""
    transforms = SimpleNamespace(crop_size=[20], resize_size=[24], mean=_MEAN, std=_STD, interpolation="bilinear")
    return SimpleNamespace(url="weights.pth", transforms=lambda: transforms)


def _steps(spec: pb.InputSpec) -> list[str]:
    return [str(step.WhichOneof("step")) for step in spec.steps]


def _close(found: Any, wanted: tuple[float, ...]) -> bool:
    return list(found) == pytest.approx(wanted)


def test_a_module_of_timm_states_it_itself() -> None:
    manifest = export(_module(_TIMM)).manifest
    spec = manifest.input
    assert spec.stated
    assert spec.divisor == 255
    assert _close(spec.mean, _MEAN)
    assert _close(spec.std, _STD)
    assert _steps(spec) == ["resize_shorter_side", "center_crop"]
    assert (spec.steps[0].resize_shorter_side.size, spec.steps[1].center_crop.height) == (32, 24)
    assert _FROM_TIMM in manifest.notes
    assert not any("guessed" in note for note in manifest.notes)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (Input(resize="stretch"), True),
        (Input(filter="nearest", channel_order="bgr"), True),
        (Input.preset("raw"), False),
        (Input(divisor=1, mean=(0,), std=(2,)), False),
    ],
    ids=["resize", "filter and order", "preset", "values"],
)
def test_an_input_given_in_part_is_completed_and_one_with_values_is_taken_whole(given: Input, kept: bool) -> None:
    manifest = export(_module(_TIMM), input=given).manifest
    assert manifest.input.stated
    assert _close(manifest.input.mean, _MEAN) == kept
    assert (_FROM_TIMM in manifest.notes) == kept
    if given.resize == "stretch":
        assert _steps(manifest.input) == ["resize_to"]
    if given.channel_order == "bgr":
        assert manifest.input.channel_order == pb.CHANNEL_ORDER_BGR
    assert not any("guessed" in note for note in manifest.notes)


def test_what_is_given_goes_before_what_the_module_says() -> None:
    manifest = export(_module(_TIMM), preprocessing=_weights()).manifest
    assert manifest.input.stated
    assert manifest.input.steps[1].center_crop.height == 20
    assert any("torchvision's" in note for note in manifest.notes)


def test_a_module_that_says_nothing_is_guessed_and_marked() -> None:
    manifest = export(_module(), input_size=(16, 16)).manifest
    assert not manifest.input.stated
    assert manifest.input.steps[1].center_crop.height == 16


def test_a_file_takes_preprocessing_as_a_module_does() -> None:
    spec = export(classifier(), preprocessing=_PROCESSOR).manifest.input
    assert spec.stated
    assert _close(spec.mean, _MEAN)


def test_the_size_that_preprocessing_states_gives_way_to_that_of_the_model() -> None:
    manifest = export(_module(), preprocessing=_weights(), example_input=torch.zeros(1, 3, 28, 28)).manifest
    assert manifest.input.stated
    assert manifest.input.steps[1].center_crop.height == 28


def test_an_inspection_says_what_the_module_states() -> None:
    inspection = inspect(_module(_TIMM))
    assert inspection.input.stated
    assert _close(inspection.input.std, _STD)
    assert _FROM_TIMM in inspection.notes
