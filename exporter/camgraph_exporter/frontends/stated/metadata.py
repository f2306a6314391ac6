"""Reads how photos were prepared in training from what toolkits write into the metadata of an ONNX file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from camgraph_exporter.frontends.stated.preprocessing import Stated
from camgraph_exporter.image.options import PRESETS, Input

Metadata = Mapping[str, str]

# A size of training beyond this, in pixels to a side, is not believed: trying the model at it would cost gigabytes.
_LARGEST_TRAINED = 2048
# Divisor and mean for the ranges of https://github.com/onnx/onnx/blob/main/docs/MetadataProps.md.
_PIXEL_RANGES = {
    "nominalrange_0_255": (1.0, 0.0),
    "normalized_0_1": (255.0, 0.0),
    "normalized_1_1": (127.5, 1.0),
    "nominalrange_16_235": (255 / 219, -16.0),
}
_PIXEL_FORMATS = {"gray8": "gray", "rgb8": "rgb", "bgr8": "bgr"}
_MODEL_API_RESIZES = {"standard": "stretch", "fit_to_window_letterbox": "letterbox", "crop": "center-square"}
_MODEL_API_FILTERS = {"LINEAR": "bilinear", "CUBIC": "bicubic", "NEAREST": "nearest"}


def stated_in_metadata(metadata: Metadata, *, classifies: bool) -> Stated | None:
    """Return what the metadata states; None where it says nothing of preprocessing.

    Args:
        metadata: The metadata of the file.
        classifies: Whether every output is a row of numbers per image, for toolkits that write no task.

    Raises:
        ValueError: A value cannot be read.
        UsageError: The values are not preprocessing.

    """
    return (
        _of_ultralytics(metadata)
        or _of_yolov5(metadata, classifies=classifies)
        or _of_windows(metadata)
        or _of_model_api(metadata)
    )


def trained_size(metadata: Metadata) -> tuple[int, int] | None:
    """Return height and width of training in pixels, as Ultralytics' export writes them."""
    found = re.fullmatch(r"\[(\d{2,4}), ?(\d{2,4})\]", metadata.get("imgsz", ""))
    sides = tuple(map(int, found.groups())) if found else (0, 0)
    return (sides[0], sides[1]) if min(sides) >= 32 and max(sides) <= _LARGEST_TRAINED else None


def _of_ultralytics(metadata: Metadata) -> Stated | None:
    """Ultralytics: RGB in 0..1. Classifiers crop the centre, RT-DETR and depth stretch, all others letterbox."""
    task = metadata.get("task")
    if metadata.get("author") != "Ultralytics" or task is None:
        return None
    is_detr = metadata.get("head") == "RTDETRDecoder" or "rtdetr" in metadata.get("description", "").lower()
    values = Input(divisor=255, mean=(0.0,), std=(1.0,), filter="bilinear")
    origin = f"the file's own metadata (Ultralytics, task {task!r})"
    if task == "classify":
        return Stated(_square_crop(values, metadata), origin)
    return Stated(replace(values, resize="stretch" if is_detr or task == "depth" else "letterbox"), origin)


def _of_yolov5(metadata: Metadata, *, classifies: bool) -> Stated | None:
    """YOLOv5 and those made from it write a stride and names, and nothing else. Their classifiers take ImageNet's."""
    if not {"stride", "names"} <= metadata.keys() or "author" in metadata or "task" in metadata:
        return None
    imagenet = PRESETS["imagenet"]
    origin = "the file's own metadata ('stride' and 'names', which YOLOv5 writes)"
    if classifies:
        values = Input(divisor=255, mean=imagenet.mean, std=imagenet.std, resize="center-square", filter="bilinear")
        return Stated(values, origin)
    return Stated(Input(divisor=255, mean=(0.0,), std=(1.0,), resize="letterbox", filter="bilinear"), origin)


def _of_windows(metadata: Metadata) -> Stated | None:
    """Keys of the ONNX standard, which Custom Vision and the converters of Windows ML write."""
    pixels = metadata.get("Image.BitmapPixelFormat", "")
    bounds = metadata.get("Image.NominalPixelRange", "")
    order = _PIXEL_FORMATS.get(pixels.lower())
    if not bounds:
        return None if order is None else Stated(Input(channel_order=order), f"the file's own metadata ({pixels})")
    if bounds.lower() not in _PIXEL_RANGES:
        raise ValueError(f"Image.NominalPixelRange is {bounds!r}")
    divisor, mean = _PIXEL_RANGES[bounds.lower()]
    origin = f"the file's own metadata (Image.NominalPixelRange {bounds}{f', {pixels}' if pixels else ''})"
    return Stated(Input(divisor=divisor, mean=(mean,), std=(1.0,), channel_order=order), origin)


def _of_model_api(metadata: Metadata) -> Stated | None:
    """OpenVINO's Model API, as OTX and Geti write it: (pixel - mean_values) / scale_values.

    Its `reverse_input_channels` does not tell an order, as applications hand it images of either.
    """
    said = {key.removeprefix("model_info "): value for key, value in metadata.items() if key.startswith("model_info ")}
    if not {"mean_values", "scale_values", "resize_type"} & said.keys():
        return None
    intensity = said.get("intensity_mode", "none")
    if intensity not in ("none", "scale_to_unit"):
        raise ValueError(f"intensity_mode is {intensity!r}")
    fill = said.get("pad_value", "0")
    values = Input(
        divisor=255 if intensity == "scale_to_unit" else 1,
        mean=_numbers(said.get("mean_values", "")) or (0.0,),
        std=_numbers(said.get("scale_values", "")) or (1.0,),
        # fit_to_window puts a photo into a corner, for which there are no words.
        resize=_MODEL_API_RESIZES.get(said.get("resize_type", "standard")),
        filter=_MODEL_API_FILTERS.get(said.get("interpolation_type", "LINEAR")),
        fill=int(fill),
    )
    return Stated(values, "the file's own metadata ('model_info', of OpenVINO's Model API)")


def _square_crop(values: Input, metadata: Metadata) -> Input:
    """Ultralytics' transform of classifiers: a square is the centre of the photo, another size is stretched to."""
    height, width = trained_size(metadata) or (0, 0)
    if height != width:
        return replace(values, resize="stretch")
    return (
        replace(values, resize="shorter-side", shorter_side=height)
        if height
        else replace(values, resize="center-square")
    )


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(float(part) for part in text.replace(",", " ").split())
