"""How a photo becomes the input tensor: presets, what the user states, and a marked guess for the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.errors import UsageError
from camgraph_exporter.errors import closest
from camgraph_exporter.graph.dims import dims_of
from camgraph_exporter.image.layout import channel_axis
from camgraph_exporter.image.values import Expected, expected_values
from camgraph_exporter.manifest import tensor_spec
from camgraph_exporter.prepare.prepare import PreparedModel

FILTERS = {
    "nearest": pb.FILTER_NEAREST,
    "bilinear": pb.FILTER_BILINEAR,
    "bicubic": pb.FILTER_BICUBIC,
    "lanczos": pb.FILTER_LANCZOS,
    "box": pb.FILTER_BOX,
}
CHANNEL_ORDERS = {
    "rgb": pb.CHANNEL_ORDER_RGB,
    "bgr": pb.CHANNEL_ORDER_BGR,
    "gray": pb.CHANNEL_ORDER_GRAY,
    "stored": pb.CHANNEL_ORDER_STORED,
}
_LAYOUTS = {1: pb.LAYOUT_NCHW, 3: pb.LAYOUT_NHWC, None: pb.LAYOUT_NHW}
_FEWEST_LEVELS = 16  # of the 256 of a pixel, that the values of an input of whole numbers must keep apart
RESIZES = ("shorter-side", "stretch", "letterbox", "center-square", "none")


@dataclass(frozen=True)
class InputOptions:
    """What the user says about the input; None where it was left to the preset or the guess.

    `size`: (height, width) of the network's input where the model leaves it open. `shorter_side`: length before the
    crop.
    """

    preset: str | None = None
    divisor: float | None = None
    mean: Sequence[float] | None = None
    std: Sequence[float] | None = None
    channel_order: str | None = None
    resize: str | None = None
    shorter_side: int | None = None
    filter: str | None = None
    fill: int = 114
    size: tuple[int, int] | None = None

    @property
    def stated(self) -> bool:
        """Tell whether the user said anything about the values of the tensor."""
        return any(x is not None for x in (self.preset, self.divisor, self.mean, self.std))


@dataclass(frozen=True)
class Preset:
    """A common way to prepare photos."""

    summary: str
    divisor: float
    mean: Sequence[float] = ()
    std: Sequence[float] = ()
    channel_order: str = "rgb"
    resize: str = "shorter-side"
    shorter_ratio: float = 256 / 224
    filter: str = "bilinear"


PRESETS = {
    "imagenet": Preset(
        "x/255, ImageNet mean and std; shorter side 256 for a crop of 224",
        255,
        (0.485, 0.456, 0.406),
        (0.229, 0.224, 0.225),
    ),
    "imagenet-bicubic": Preset(
        "as imagenet, resized bicubic (timm)", 255, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), filter="bicubic"
    ),
    "efficientnet-lite": Preset(
        "(x - 127) / 128; shorter side 256 bicubic for a crop of 224", 1, (127,), (128,), filter="bicubic"
    ),
    "caffe": Preset("BGR, x - (104, 117, 123)", 1, (104, 117, 123), channel_order="bgr"),
    "zero-one": Preset("x/255, stretched to the input's size (mobile toolkits)", 255, resize="stretch"),
    "minus-one-one": Preset("x/127.5 - 1, stretched to the input's size (Keras)", 127.5, (1,), resize="stretch"),
    "raw": Preset("0..255, stretched to the input's size", 1, resize="stretch"),
}


@dataclass(frozen=True)
class Input:
    """How a photo becomes the input tensor, and what the user should know of it, one sentence each."""

    spec: pb.InputSpec
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Values:
    """tensor = (pixel / divisor - mean) / std, mean and std per channel."""

    divisor: float
    mean: list[float]
    std: list[float]


def make_input(prepared: PreparedModel, options: InputOptions) -> Input:
    """Return how a photo becomes the input of a prepared model: as stated, else as the graph tells, else as guessed.

    Raises:
        UsageError: an option has an unknown value or does not fit the model's input.

    """
    image = prepared.image
    dims, axis = dims_of(image), channel_axis(image)
    channels = 1 if axis is None else dims[axis]
    count = channels if isinstance(channels, int) else 3
    expected = expected_values(image, prepared.probe)
    preset = _preset(options.preset or _guess(axis, count, expected))
    order = _order(count, options.channel_order, preset, expected)
    told = None if expected is None else _told(expected, count, as_stored=order == "stored")
    is_told = told is not None and (not options.stated or _asks_for_shifted_pixels(options, expected))
    values = told if told is not None and is_told else _stated(options, preset, count)
    height, width = _network_size([dim for i, dim in enumerate(dims) if i not in (0, axis)], options.size)
    spec = pb.InputSpec(
        tensor=tensor_spec(image),
        layout=_LAYOUTS[axis],
        channel_order=CHANNEL_ORDERS[order],
        divisor=values.divisor,
        mean=values.mean,
        std=values.std,
        steps=_steps(options, preset, height, width),
        stated=options.stated,
        told_by_graph=told is not None and values == told,
    )
    if spec.divisor <= 0 or any(value <= 0 for value in spec.std):
        raise UsageError("The input's divisor and std must be greater than zero.")
    _check_levels(spec)
    if expected is None or (values != told and not expected.normalises):
        return Input(spec)
    return Input(spec, (expected.note if values == told else expected.note_on_twice,))


def _preset(name: str) -> Preset:
    if name not in PRESETS:
        raise UsageError(f"There is no preset {name!r}.{closest(name, PRESETS)} Use one of {', '.join(PRESETS)}.")
    return PRESETS[name]


def _guess(axis: int | None, channels: int, expected: Expected | None) -> str:
    """Return the preset where the user states none: the manifest marks it as a guess."""
    if expected is not None:
        return "raw"
    return "imagenet" if axis == 1 and channels in (1, 3) else "zero-one"


def _told(expected: Expected, count: int, *, as_stored: bool) -> _Values:
    """Return how pixels get the range that the graph expects; stored values of a wide range go in as they are."""
    width = expected.white - expected.black
    divisor = 1.0 if as_stored and width >= 255 else 255 / width
    return _Values(divisor, [0.0 - expected.black] * count, [1.0] * count)


def _asks_for_shifted_pixels(options: InputOptions, expected: Expected | None) -> bool:
    """Tell whether the user wants raw pixels of an int8 input, into which they fit only less 128."""
    only_preset = all(x is None for x in (options.divisor, options.mean, options.std))
    return options.preset == "raw" and only_preset and expected is not None and expected.black == -128


def _stated(options: InputOptions, preset: Preset, count: int) -> _Values:
    """Return what the options state, and for the rest the preset."""
    mean = options.mean if options.mean is not None else _of_preset("mean", preset.mean, options, count)
    std = options.std if options.std is not None else _of_preset("std", preset.std, options, count)
    return _Values(
        options.divisor if options.divisor is not None else preset.divisor,
        _per_channel("mean", mean, count, default=0.0),
        _per_channel("std", std, count, default=1.0),
    )


def _of_preset(what: str, values: Sequence[float], options: InputOptions, count: int) -> Sequence[float]:
    if len(values) in (0, 1, count) or count == 1:
        return values
    raise UsageError(
        f"The preset {options.preset!r} has a {what} of {len(values)} channels, but the input has {count}. "
        f"State --divisor, --mean and --std, with {count} values each."
    )


def _order(channels: int, stated: str | None, preset: Preset, expected: Expected | None) -> str:
    if stated is not None and stated not in CHANNEL_ORDERS:
        raise UsageError(f"There is no channel order {stated!r}. Use one of {', '.join(CHANNEL_ORDERS)}.")
    possible = {1: ["gray", "stored"], 3: ["rgb", "bgr", "stored"]}.get(channels, ["stored"])
    if stated is not None and stated not in possible:
        plural = "" if channels == 1 else "s"
        raise UsageError(
            f"The input has {channels} channel{plural}, so the channel order cannot be {stated!r}. "
            f"Use {' or '.join(possible)}, or leave it out."
        )
    if stated is not None or channels != 3:
        return stated or possible[0]
    blue_first = expected.blue_first if expected is not None else None
    return preset.channel_order if blue_first is None else "bgr" if blue_first else "rgb"


def _check_levels(spec: pb.InputSpec) -> None:
    """Refuse numbers that leave an input of whole numbers only a handful of values."""
    dtype = np.dtype(spec.tensor.dtype)
    if dtype.kind not in "iu":
        return
    limits = np.iinfo(dtype)
    pixels = np.arange(256)[:, None] / spec.divisor
    values = np.clip(np.rint((pixels - np.array(spec.mean)) / np.array(spec.std)), limits.min, limits.max)
    fewest = min(len(np.unique(column)) for column in values.T)
    if fewest < _FEWEST_LEVELS:
        raise UsageError(
            f"The input is {dtype.name}: of the 256 values of a pixel, what was stated leaves {fewest} whole numbers. "
            "State --preset raw, or nothing."
        )


def _network_size(dims: Sequence[int | str], size: tuple[int, int] | None) -> tuple[int, int]:
    known = [dim if isinstance(dim, int) else None for dim in dims]
    asked = size or (None, None)
    for have, want in zip(known, asked, strict=True):
        if have is not None and want is not None and have != want:
            raise UsageError(
                f"The model's input is {known[0]} x {known[1]} pixels, but --input-size says {asked[0]} x {asked[1]}. "
                "Leave the option out."
            )
    height, width = (have or want or 224 for have, want in zip(known, asked, strict=True))
    return height, width


def _per_channel(name: str, values: Sequence[float], count: int, *, default: float) -> list[float]:
    values = list(values) or [default]
    if len(values) not in (1, count):
        if count == 1:
            return [sum(values) / len(values)]
        raise UsageError(
            f"The input has {count} channels, but {len(values)} values were given for the {name}. Give 1 or {count}."
        )
    return values * count if len(values) == 1 else values


def _steps(options: InputOptions, preset: Preset, height: int, width: int) -> list[pb.GeometryStep]:
    resize = options.resize or preset.resize
    name = options.filter or preset.filter
    if name not in FILTERS:
        raise UsageError(f"There is no filter {name!r}. Use one of {', '.join(FILTERS)}.")
    if resize not in RESIZES:
        raise UsageError(f"There is no resize rule {resize!r}. Use one of {', '.join(RESIZES)}.")
    kernel = FILTERS[name]
    exact = pb.GeometryStep(resize_to=pb.ResizeTo(height=height, width=width, filter=kernel))
    if resize == "stretch":
        return [exact]
    if resize == "center-square":
        return [pb.GeometryStep(center_square=pb.CenterSquare()), exact]
    if resize == "letterbox":
        return [pb.GeometryStep(letterbox=pb.Letterbox(height=height, width=width, filter=kernel, fill=options.fill))]
    if resize == "none":
        return []
    shorter = options.shorter_side or round(min(height, width) * preset.shorter_ratio)
    crop = pb.GeometryStep(center_crop=pb.CenterCrop(height=height, width=width))
    return [pb.GeometryStep(resize_shorter_side=pb.ResizeShorterSide(size=shorter, filter=kernel)), crop]
