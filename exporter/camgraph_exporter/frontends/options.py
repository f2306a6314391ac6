"""What a user says of a model that is read: what it leaves open, and what belongs to a PyTorch module."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

from camgraph_core.settings import Setting
from camgraph_exporter.frontends.input_values import Values, read_named_values

# Frames of a clip where nobody says how many, as most models of clips take.
DEFAULT_FRAMES = 16


def read_size(text: str) -> tuple[int, int]:
    """Read height and width, or one number for both.

    Raises:
        ValueError: it is something else.

    """
    parts = text.lower().split("x")
    if len(parts) not in (1, 2) or not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise ValueError("HxW in pixels, such as 224x224")
    return int(parts[0]), int(parts[-1])


@dataclass(frozen=True, kw_only=True)
class SourceOptions:
    """How a model is read: what it leaves open, and what belongs to a PyTorch module."""

    input_size: Annotated[
        tuple[int, int] | None,
        Setting("Size of the input where the model leaves it open.", read=read_size, metavar="HxW"),
    ] = None
    frames: Annotated[
        int | None,
        Setting("Number of frames of a clip, or slices of a volume, where the model leaves it open.", at_least=1),
    ] = None
    fixed: Annotated[
        Mapping[str, Values],
        Setting(
            "Numbers or an array for each input beside the image, by its name.",
            option_help="Set an input beside the image to constant values: NAME=1,0,3, rows as NAME=1,2;3,4, or "
            "NAME=FILE.npy. May be repeated.",
            option="--set",
            repeated=True,
            read=read_named_values,
            metavar="NAME=VALUES",
        ),
    ] = field(default_factory=dict)
    join: Annotated[
        Sequence[str],
        Setting(
            "Image inputs of one size, such as colours and flow, that become one: the channels of all, in this order.",
            option_help="Image input that becomes one with others, such as colours and flow: the channels of all, in "
            "this order. To be given for each of them.",
            repeated=True,
            metavar="NAME",
        ),
    ] = ()
    dynamic_size: Annotated[bool, Setting("Leave height and width of a PyTorch module's input open.")] = False
    example_input: Annotated[
        Any,
        Setting(
            "For a PyTorch module a tensor [N, C, H, W], or one of a clip, of which shape, element type and device "
            "matter. For several inputs a tuple of them, or a dict by argument: the first tensor of three axes or more "
            "is the image, the others are fixed at the given values. Default: what the module brings itself, or zeros "
            "that fit its first convolution.",
            of_python=True,
        ),
    ] = None
    preprocessing: Annotated[
        object | None,
        Setting(
            "What states how photos were prepared in training: torchvision weights or their transforms(), a timm "
            "pretrained_cfg, or a Hugging Face image processor. A module of timm states it by itself.",
            of_python=True,
        ),
    ] = None
    name: Annotated[
        str,
        Setting("What the manifest calls the source. Default: the file's name or the module's class.", of_python=True),
    ] = ""
