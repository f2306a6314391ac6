"""How photos were prepared in training: what a user states, the presets, and the words for both."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.errors import UsageError
from camgraph_core.settings import Setting, check_settings
from camgraph_exporter.image.bands import check_names, check_range
from camgraph_exporter.image.clip import ClipInput

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
FILL = 114  # grey level of a letterbox's border, as YOLO has it
RESIZES = ("shorter-side", "stretch", "letterbox", "center-square", "none")


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


def numbers(text: str) -> tuple[float, ...]:
    """Read one number, or one per channel with commas between.

    Raises:
        ValueError: it is something else.

    """
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise ValueError("a list of numbers such as 0.485,0.456,0.406") from error


def names(text: str) -> tuple[str, ...]:
    """Read names with commas between."""
    return tuple(part.strip() for part in text.split(","))


@dataclass(frozen=True, kw_only=True)
class Input(ClipInput):
    """How photos were prepared in training; None leaves it to the preset, the graph, or a marked guess.

    The tensor is (pixel / divisor - mean) / std, from pixels 0 to 255. `Input.preset("imagenet")` states everything;
    `Input(based_on="imagenet", filter="lanczos")` states it with one change.

    Raises:
        UsageError: there is no such preset, order, resize or filter, or a number is out of range.

    """

    based_on: Annotated[
        str | None,
        Setting("How photos were prepared in training, by name.", option="--preset", choices=tuple(sorted(PRESETS))),
    ] = None
    divisor: Annotated[float | None, Setting("Number that divides the pixels 0 to 255.", above=0)] = None
    mean: Annotated[
        Sequence[float] | None,
        Setting("Mean to subtract, per channel (after --divisor).", read=numbers, metavar="M[,M,M]"),
    ] = None
    std: Annotated[
        Sequence[float] | None,
        Setting("Standard deviation to divide by, per channel (after --mean).", read=numbers, metavar="S[,S,S]"),
    ] = None
    channel_order: Annotated[str | None, Setting("Order of the colour channels.", choices=tuple(CHANNEL_ORDERS))] = None
    bands: Annotated[
        Sequence[str] | None,
        Setting(
            "Names of the channels, in the order of the input, such as B02,B03,B04,B08. The image has as many, and "
            "goes in as it is stored.",
            read=names,
            metavar="NAME[,NAME...]",
        ),
    ] = None
    value_range: Annotated[
        Sequence[float] | None,
        Setting(
            "Lowest and highest value of the images that the model was made for, such as 0,10000: two numbers for all "
            "channels, or two for each in turn. The image goes in as it is stored.",
            read=numbers,
            metavar="LOW,HIGH[,LOW,HIGH...]",
        ),
    ] = None
    resize: Annotated[str | None, Setting("How a photo gets the size of the input.", choices=RESIZES)] = None
    shorter_side: Annotated[
        int | None, Setting("Length in pixels of the shorter side before the crop.", at_least=1)
    ] = None
    filter: Annotated[str | None, Setting("Resampling filter.", choices=tuple(FILTERS))] = None
    fill: Annotated[
        int | None, Setting(f"Grey level of the border of a letterbox; {FILL} without it.", at_least=0, at_most=255)
    ] = None

    def __post_init__(self) -> None:
        check_settings(self)
        if not all(map(math.isfinite, (self.divisor or 0, *(self.mean or ()), *(self.std or ())))):
            raise UsageError("divisor, mean and std are finite numbers.")
        if any(value <= 0 for value in self.std or ()):
            raise UsageError(f"std must be greater than 0 in every channel, not {', '.join(map(str, self.std or ()))}.")
        check_range(self.value_range or ())
        check_names(self.bands or ())

    @classmethod
    def preset(cls, name: str) -> Input:
        """Return a common way to prepare photos; `PRESETS` names them all."""
        return cls(based_on=name)

    @property
    def stated(self) -> bool:
        """Whether anything is said about the values of the tensor."""
        return any(x is not None for x in (self.based_on, self.divisor, self.mean, self.std))

    @property
    def is_of_stored_values(self) -> bool:
        """Whether what is said holds only of images whose channels go in as they are stored."""
        return self.bands is not None or self.value_range is not None

    @property
    def guesses_geometry(self) -> bool:
        """Whether values are stated, but nothing of how a photo gets the size of the input."""
        return self.stated and all(x is None for x in (self.based_on, self.resize, self.shorter_side))
