"""How a photo becomes the input tensor: presets, what the user states, and a marked guess for the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from camgraph.v1 import manifest_pb2 as pb
from camgraph_exporter.cam.axes import image_is_channels_last
from camgraph_exporter.errors import closest
from camgraph_exporter.graph.dims import dims_of
from camgraph_exporter.manifest import tensor_spec
from camgraph_exporter.prepare.prepare import Prepared
from camgraph_runtime.errors import UsageError

FILTERS = {
    "nearest": pb.FILTER_NEAREST,
    "bilinear": pb.FILTER_BILINEAR,
    "bicubic": pb.FILTER_BICUBIC,
    "lanczos": pb.FILTER_LANCZOS,
    "box": pb.FILTER_BOX,
}
CHANNEL_ORDERS = {"rgb": pb.CHANNEL_ORDER_RGB, "bgr": pb.CHANNEL_ORDER_BGR, "gray": pb.CHANNEL_ORDER_GRAY}
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


def make_input_spec(prepared: Prepared, options: InputOptions) -> pb.InputSpec:
    """Return the input spec of a prepared model.

    Raises:
        UsageError: an option has an unknown value or does not fit the model's input.

    """
    preset = _preset(options.preset or _guess(prepared))
    dims = dims_of(prepared.image)
    last = image_is_channels_last(dims)
    channels = dims[-1] if last else dims[1]
    height, width = _network_size(dims[1:3] if last else dims[2:4], options.size)
    order = "gray" if channels == 1 else options.channel_order or preset.channel_order
    if order not in CHANNEL_ORDERS:
        raise UsageError(f"There is no channel order {order!r}. Use one of {', '.join(CHANNEL_ORDERS)}.")
    count = 1 if order == "gray" else 3
    spec = pb.InputSpec(
        tensor=tensor_spec(prepared.image),
        layout=pb.LAYOUT_NHWC if last else pb.LAYOUT_NCHW,
        channel_order=CHANNEL_ORDERS[order],
        divisor=options.divisor if options.divisor is not None else preset.divisor,
        mean=_per_channel("mean", options.mean if options.mean is not None else preset.mean, count, default=0.0),
        std=_per_channel("std", options.std if options.std is not None else preset.std, count, default=1.0),
        steps=_steps(options, preset, height, width),
        stated=options.stated,
    )
    if spec.divisor <= 0 or any(value <= 0 for value in spec.std):
        raise UsageError("The input's divisor and std must be greater than zero.")
    return spec


def _preset(name: str) -> Preset:
    if name not in PRESETS:
        raise UsageError(f"There is no preset {name!r}.{closest(name, PRESETS)} Use one of {', '.join(PRESETS)}.")
    return PRESETS[name]


def _guess(prepared: Prepared) -> str:
    """Guess the preset where the user states none: the manifest marks it as a guess."""
    return "zero-one" if image_is_channels_last(dims_of(prepared.image)) else "imagenet"


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
