"""Reads how photos were prepared in training from objects that state it: the exporter then need not guess.

timm's modules carry a `pretrained_cfg`; torchvision's weights have `transforms()`; Hugging Face has image processors,
as objects or as the content of preprocessor_config.json. Nothing of these packages is imported.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from camgraph_core.errors import UsageError
from camgraph_exporter.errors import ModuleError
from camgraph_exporter.image.options import FILTERS, Input

_OF_PROCESSORS = ("do_normalize", "do_rescale", "image_mean", "do_flip_channel_order")
# Pillow's numbers, which Hugging Face writes.
_PILLOW_FILTERS = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic", 4: "box"}


@dataclass(frozen=True)
class Stated:
    """What was read, and from where, for the manifest's notes.

    Attributes:
        input: How photos are prepared.
        origin: Who says so, in words.
        size: Height and width of the network's input.
        is_own: Whether the model's file or one beside it says so, and not the user.
        unsaid: What is said there, but has no words in a manifest: one sentence, or nothing.

    """

    input: Input
    origin: str = ""
    size: tuple[int, int] | None = None
    is_own: bool = False
    unsaid: str = ""

    def fitted(self, height: int | str, width: int | str) -> Stated:
        """Return what holds for a model of such an input: of another size, only the values."""
        if self.size is None or all(
            isinstance(have, str) or have == want for have, want in zip((height, width), self.size, strict=True)
        ):
            return self
        unsaid = (
            f"That is of {self.size[1]} x {self.size[0]} pixels, and this model takes {width} x {height}, so only its "
            "values were taken."
        )
        return replace(self, input=replace(self.input, resize=None, shorter_side=None), size=None, unsaid=unsaid)


def stated_preprocessing(module: object, preprocessing: object | None) -> Stated | None:
    """Return what `preprocessing` states, or else what the module carries; None where neither says anything.

    Args:
        module: the module; timm's carry a `pretrained_cfg`.
        preprocessing: torchvision weights or their transforms, a timm configuration, or an image processor.

    Raises:
        UsageError: the object is none of these.
        ModuleError: it prepares photos in a way that the manifest has no words for.

    """
    if preprocessing is None:
        config = getattr(module, "pretrained_cfg", None)
        if not isinstance(config, Mapping) or not config.get("mean"):
            return None
        return replace(_of_timm(config), origin="the module's pretrained_cfg")
    # An entry of torchvision's enums of weights.
    transforms = getattr(preprocessing, "transforms", None)
    if callable(transforms) and hasattr(preprocessing, "url"):
        preprocessing = transforms()
    kind = type(preprocessing).__name__
    if _has(preprocessing, "resize_size", "mean", "std", "interpolation"):
        return replace(_of_torchvision(preprocessing), origin=f"torchvision's {kind}")
    config = _mapping(preprocessing)
    if config is not None and "input_size" in config and "mean" in config:
        return replace(_of_timm(config), origin="a timm configuration")
    if config is not None and any(key in config for key in _OF_PROCESSORS):
        origin = f"the image processor {config.get('image_processor_type', kind)}"
        return replace(_of_processor(config), origin=origin)
    raise UsageError(
        f"A {kind} states no preprocessing that can be read. Give torchvision weights or their transforms, "
        "a timm pretrained_cfg, or a Hugging Face image processor."
    )


def merged(user: Input, stated: Stated | None) -> tuple[Input, str]:
    """Return what the user states, completed by what the model states, and a note on where that is from.

    A preset or values of the user count as a whole: they are not mixed with values from elsewhere.
    """
    if stated is None or user.stated:
        return user, ""
    own = {name: getattr(user, name) for name in ("channel_order", "resize", "shorter_side", "filter", "fill")}
    changed = {name: value for name, value in own.items() if value is not None}
    what = "preprocessing" if stated.input.stated else "order of colours"
    note = f"The {what} is that of {stated.origin}. {stated.unsaid}".rstrip()
    return replace(stated.input, **changed), note


def _of_timm(config: Mapping[str, Any]) -> Stated:
    _, height, width = config["input_size"]
    ratio = float(config.get("crop_pct") or 0.875)
    # timm crops the centre, or with "squash" resizes both sides; a border keeps the aspect ratio.
    mode = {"center": "shorter-side", "squash": "stretch", "border": "letterbox"}.get(
        str(config.get("crop_mode") or "center")
    )
    stated = Input(
        divisor=255,
        mean=tuple(map(float, config["mean"])),
        std=tuple(map(float, config["std"])),
        resize=mode,
        shorter_side=int(min(height, width) / ratio) if mode == "shorter-side" else None,
        filter=_filter(config.get("interpolation") or "bilinear"),
    )
    return Stated(stated)


def _of_torchvision(transforms: Any) -> Stated:
    sizes = [int(size) for size in _sequence(transforms.resize_size)]
    crop = getattr(transforms, "crop_size", None)
    stated = Input(
        divisor=255,
        mean=tuple(map(float, transforms.mean)),
        std=tuple(map(float, transforms.std)),
        resize="shorter-side" if crop is not None and len(sizes) == 1 else "stretch",
        shorter_side=sizes[0] if crop is not None and len(sizes) == 1 else None,
        filter=_filter(getattr(transforms.interpolation, "value", transforms.interpolation)),
    )
    return Stated(stated, size=pair(crop if crop is not None else sizes))


def _of_processor(config: Mapping[str, Any]) -> Stated:
    rescales, normalises = config.get("do_rescale", True), config.get("do_normalize", True)
    factor = float(config.get("rescale_factor") or 1 / 255) if rescales else 1.0
    size = config.get("size") or {}
    crop = config.get("crop_size") if config.get("do_center_crop") else None
    shorter = size.get("shortest_edge") if isinstance(size, Mapping) else None
    if crop and isinstance(size, int):
        shorter = size  # as older processors wrote it
    target = pair(crop) if crop else pair(size)
    if shorter and not crop:
        if not config.get("crop_pct"):
            raise ModuleError(
                "The image processor resizes the shorter side and crops nothing, so the size of the input depends on "
                "the photo. State --resize and --input-size yourself."
            )
        # ConvNeXt's processor: below 384 pixels it resizes to size / crop_pct and crops.
        target = (int(shorter), int(shorter))
        shorter = int(shorter / float(config["crop_pct"])) if shorter < 384 else None
    stated = Input(
        divisor=1 / factor,
        mean=tuple(map(float, config["image_mean"])) if normalises and config.get("image_mean") else (0.0,),
        std=tuple(map(float, config["image_std"])) if normalises and config.get("image_std") else (1.0,),
        channel_order="bgr" if config.get("do_flip_channel_order") else None,
        resize="shorter-side" if shorter else "stretch",
        shorter_side=int(shorter) if shorter else None,
        filter=_filter(config.get("resample", 2)),
    )
    return Stated(stated, size=target)


def _filter(name: Any) -> str:
    text = _PILLOW_FILTERS.get(int(name), str(name)) if isinstance(name, int) else str(name).lower()
    if text not in FILTERS:
        raise ModuleError(f"The preprocessing resizes by {text!r}, which is not one of {', '.join(FILTERS)}.")
    return text


def pair(size: Any) -> tuple[int, int] | None:
    """Return (height, width) of a number, a pair or a mapping; None where it holds neither."""
    if isinstance(size, Mapping):
        return (int(size["height"]), int(size["width"])) if "height" in size and "width" in size else None
    sizes = [int(number) for number in _sequence(size)]
    return (sizes[0], sizes[-1]) if sizes else None


def _sequence(value: Any) -> Sequence[Any]:
    return list(value) if isinstance(value, Sequence) else [value] if value is not None else []


def _mapping(value: object) -> Mapping[str, Any] | None:
    """Return a configuration as a mapping; image processors have `to_dict`."""
    if isinstance(value, Mapping):
        return value
    to_dict = getattr(value, "to_dict", None)
    found = to_dict() if callable(to_dict) else None
    return found if isinstance(found, Mapping) else None


def _has(value: object, *names: str) -> bool:
    return all(hasattr(value, name) for name in names)
