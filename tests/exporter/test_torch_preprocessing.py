"""Preprocessing that a module or a configuration states is taken, not guessed."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from types import SimpleNamespace
from typing import Any

import pytest

from camgraph_core.errors import UsageError
from camgraph_exporter import Input
from camgraph_exporter.errors import ModuleError
from camgraph_exporter.frontends.stated.preprocessing import Stated, merged, stated_preprocessing

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class _Interpolation(Enum):
    BICUBIC = "bicubic"


@dataclass
class ImageClassification:
    """The attributes of torchvision's transforms of that name."""

    crop_size: list[int]
    resize_size: list[int]
    mean: list[float] = field(default_factory=lambda: list(_MEAN))
    std: list[float] = field(default_factory=lambda: list(_STD))
    interpolation: Any = _Interpolation.BICUBIC


class Processor:
    """An image processor of Hugging Face, as far as it is read."""

    def __init__(self, **config: Any) -> None:
        self.config = config

    def to_dict(self) -> dict[str, Any]:
        return {"image_processor_type": "ViTImageProcessor", **self.config}


_TIMM = {"input_size": (3, 288, 288), "crop_pct": 0.95, "interpolation": "bicubic", "mean": _MEAN, "std": _STD}
_VIT = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3, "rescale_factor": 1 / 255, "resample": 2, "do_normalize": True}

STATED: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "timm's module": (
        SimpleNamespace(pretrained_cfg=_TIMM),
        None,
        {
            "resize": "shorter-side",
            "shorter_side": 303,
            "filter": "bicubic",
            "mean": _MEAN,
            "std": _STD,
            "divisor": 255,
        },
    ),
    "timm's module that squashes": (
        SimpleNamespace(pretrained_cfg=_TIMM | {"crop_mode": "squash"}),
        None,
        {"resize": "stretch", "shorter_side": None},
    ),
    "timm's configuration": (None, _TIMM, {"shorter_side": 303, "filter": "bicubic"}),
    "torchvision's transforms": (
        None,
        ImageClassification([224], [232]),
        {"size": (224, 224), "resize": "shorter-side", "shorter_side": 232, "filter": "bicubic", "mean": _MEAN},
    ),
    "torchvision's weights": (
        None,
        SimpleNamespace(url="x", transforms=lambda: ImageClassification([299], [342])),
        {"size": (299, 299), "shorter_side": 342},
    ),
    "a processor that stretches": (
        None,
        Processor(size={"height": 224, "width": 192}, **_VIT),
        {
            "size": (224, 192),
            "resize": "stretch",
            "divisor": pytest.approx(255),
            "filter": "bilinear",
            "mean": (0.5,) * 3,
        },
    ),
    "a processor that crops": (
        None,
        Processor(size={"shortest_edge": 256}, do_center_crop=True, crop_size={"height": 224, "width": 224}, **_VIT),
        {"size": (224, 224), "resize": "shorter-side", "shorter_side": 256},
    ),
    "preprocessor_config.json": (
        None,
        {"size": 384, **_VIT, "resample": 3},
        {"size": (384, 384), "resize": "stretch", "filter": "bicubic"},
    ),
    "ConvNeXt's processor": (
        None,
        {"size": {"shortest_edge": 224}, "crop_pct": 0.875, **_VIT},
        {"size": (224, 224), "resize": "shorter-side", "shorter_side": 256},
    ),
    "a processor that does not normalise": (
        None,
        {"size": {"height": 64, "width": 64}, "do_normalize": False, "do_rescale": True, "rescale_factor": 1 / 128},
        {"mean": (0.0,), "std": (1.0,), "divisor": pytest.approx(128)},
    ),
}


@pytest.mark.parametrize("case", STATED)
def test_what_is_stated_is_read(case: str) -> None:
    module, preprocessing, expected = STATED[case]
    stated = stated_preprocessing(module, preprocessing)
    assert stated is not None
    assert stated.input.stated
    found = {**vars(stated.input), "size": stated.size}
    assert {name: found[name] for name in expected} == expected


@pytest.mark.parametrize("module", [object(), SimpleNamespace(pretrained_cfg=None), SimpleNamespace(pretrained_cfg={})])
def test_a_module_that_says_nothing_leaves_it_open(module: Any) -> None:
    assert stated_preprocessing(module, None) is None


@pytest.mark.parametrize(
    ("preprocessing", "kind", "message"),
    [
        (lambda image: image, UsageError, "A function states no preprocessing that can be read"),
        ({"size": 3}, UsageError, "A dict states no preprocessing"),
        ({"size": {"shortest_edge": 480}, **_VIT}, ModuleError, "the size of the input depends on the photo"),
        ({"size": 32, **_VIT, "resample": 5}, ModuleError, "resizes by '5'"),
    ],
)
def test_what_cannot_be_read_is_said(preprocessing: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        stated_preprocessing(None, preprocessing)


def test_what_the_user_states_goes_first() -> None:
    own = Input(divisor=255, mean=_MEAN, std=_STD, resize="shorter-side", shorter_side=256)
    stated = Stated(own, "a test")
    assert merged(Input(), stated) == (own, "The preprocessing is that of a test.")
    assert merged(Input(), None) == (Input(), "")
    assert merged(Input.preset("raw"), stated) == (Input.preset("raw"), "")
    assert merged(Input(mean=(1.0,)), stated) == (Input(mean=(1.0,)), "")
    changed, note = merged(Input(resize="stretch", fill=0), stated)
    assert note
    assert (changed.resize, changed.fill, changed.mean) == ("stretch", 0, _MEAN)
