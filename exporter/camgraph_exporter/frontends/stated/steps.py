"""Reads preprocessing that is written as a list of steps: pipeline.json of mmdeploy, and Paddle's YAML files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from camgraph_exporter.frontends.stated.preprocessing import Stated, pair
from camgraph_exporter.image.options import Input

Step = tuple[str, Mapping[str, Any]]

# OpenCV's numbers and the names of both toolkits.
_FILTERS = {0: "nearest", 1: "bilinear", 2: "bicubic", 3: "box", 4: "lanczos", "area": "box"}
# Steps that change no value of a pixel, and move none.
_NEUTRAL = {
    *("loadimagefromfile", "loadimage", "imagetotensor", "defaultformatbundle", "collect", "tochwimage", "permute"),
    *("keepkeys", "packdetinputs", "packclsinputs", "packseginputs", "packinputs", "loadannotations", "tobatch"),
    *("randomflip", "readimage", "decodeimage"),  # a flip is one of training: it does nothing here
}


def steps_of_mmdeploy(found: Mapping[str, Any]) -> list[Step] | None:
    """Return the steps in the content of pipeline.json; None where it has none."""
    tasks = found["pipeline"]["tasks"] if "pipeline" in found else []
    for task in tasks:
        if task.get("module") == "Transform":
            return [(str(step["type"]), step) for step in task["transforms"]]
    return None


def steps_of_paddle(found: Mapping[str, Any]) -> list[Step] | None:
    """Return the steps in the content of a YAML file of PaddleClas, PaddleDetection, PaddleSeg or PaddleX."""
    if "PreProcess" in found:
        steps = found["PreProcess"]["transform_ops"]
    elif "Preprocess" in found:
        steps = found["Preprocess"]
    elif "Deploy" in found:
        steps = found["Deploy"]["transforms"]
    else:
        return None
    return [
        (str(step["type"]), step) if "type" in step else next((str(name), of or {}) for name, of in step.items())
        for step in steps
    ]


def stated_by_steps(steps: Sequence[Step], *, divisor: float, blue_first: bool) -> Stated:
    """Return what the steps state.

    Args:
        steps: Their names and arguments, in order.
        divisor: Of pixels before a mean, where the step does not say it.
        blue_first: Whether pixels are read with blue first, as OpenCV does.

    Raises:
        ValueError: A step is not known, or has no words in a manifest.

    """
    read = _Read(divisor, "bgr" if blue_first else "rgb")
    for name, arguments in steps:
        kind = name.lower()
        if kind in ("normalize", "normalizeimage"):
            read = read.normalised(arguments)
        elif kind in ("resize", "resizeimage", "resizeedge"):
            read = read.resized(arguments)
        elif kind in ("centercrop", "cropimage"):
            read = read.cropped(arguments)
        elif kind in ("pad", "padstride"):
            read = replace(read, pads=True)
        elif kind in _NEUTRAL:
            read = read.decoded(arguments)
        else:
            raise ValueError(f"its step {name!r} is not known")
    return read.stated()


@dataclass(frozen=True)
class _Read:
    """What the steps up to here do."""

    divisor: float
    order: str
    values: Input = field(default_factory=Input)
    shorter: int | None = None
    stretched: tuple[int, int] | None = None
    keeps_ratio: bool = False
    crop: tuple[int, int] | None = None
    pads: bool = False
    filter: str | None = None

    def decoded(self, arguments: Mapping[str, Any]) -> _Read:
        told = str(arguments.get("format", arguments.get("img_mode", ""))).lower()
        if told in ("rgb", "bgr"):
            return replace(self, order=told)
        return replace(self, order="rgb") if arguments.get("to_rgb") else self

    def normalised(self, arguments: Mapping[str, Any]) -> _Read:
        divisor = self.divisor
        if "is_scale" in arguments:
            divisor = 255.0 if arguments["is_scale"] else 1.0
        elif "scale" in arguments:
            divisor = 1 / _ratio(arguments["scale"])
        has_values = arguments.get("norm_type", "mean_std") == "mean_std"
        mean, std = (arguments.get(name) if has_values else None for name in ("mean", "std"))
        values = Input(
            divisor=divisor,
            mean=tuple(map(float, mean)) if mean else (0.0,),
            std=tuple(map(float, std)) if std else (1.0,),
        )
        # mmdeploy exchanges the colours here.
        return replace(self, values=values, order="rgb" if arguments.get("to_rgb") else self.order)

    def resized(self, arguments: Mapping[str, Any]) -> _Read:
        size = next((arguments[name] for name in ("resize_short", "size", "target_size") if name in arguments), None)
        kernel = arguments.get("interpolation", arguments.get("interp"))
        filter_ = None if kernel is None else _FILTERS.get(kernel, str(kernel).lower())
        sides = list(_sizes(size))
        if "resize_short" in arguments or (sides and min(sides) <= 0):
            return replace(self, shorter=max(sides), filter=filter_)
        return replace(self, stretched=pair(size), keeps_ratio=bool(arguments.get("keep_ratio")), filter=filter_)

    def cropped(self, arguments: Mapping[str, Any]) -> _Read:
        return replace(self, crop=pair(arguments.get("crop_size", arguments.get("size"))))

    def stated(self) -> Stated:
        values = replace(self.values, channel_order=self.order, filter=self.filter)
        if self.pads or self.keeps_ratio or (self.crop and self.shorter is None) or (self.shorter and not self.crop):
            return Stated(
                values, unsaid="It gives photos the size of the input in a way that a manifest has no words for."
            )
        if self.crop:
            return Stated(replace(values, resize="shorter-side", shorter_side=self.shorter), size=self.crop)
        # Toolkits differ in which of two sides is first, so only a square tells a size.
        square = self.stretched if self.stretched and self.stretched[0] == self.stretched[1] else None
        return Stated(replace(values, resize="stretch") if self.stretched else values, size=square)


def _sizes(size: Any) -> Iterator[int]:
    yield from (int(side) for side in (size if isinstance(size, list | tuple) else [] if size is None else [size]))


def _ratio(value: Any) -> float:
    """Return a number that may be written as a division: 1.0/255.0."""
    top, _, bottom = str(value).partition("/")
    return float(top) / float(bottom or 1)
