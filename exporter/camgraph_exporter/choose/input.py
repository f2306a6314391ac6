"""How a photo becomes the input tensor: as stated, else as the graph tells, else as guessed, which is marked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.errors import UsageError
from camgraph_exporter.graph.dims import dims_of
from camgraph_exporter.graph.tensor_spec import tensor_spec
from camgraph_exporter.image.bands import names_for, range_for
from camgraph_exporter.image.clip import clip_of, notes_on_clip
from camgraph_exporter.image.layout import channel_axis, frame_axis, sides_of
from camgraph_exporter.image.options import CHANNEL_ORDERS, FILL, FILTERS, PRESETS, Input, Preset
from camgraph_exporter.image.values import Expected, expected_values
from camgraph_exporter.prepare.prepare import PreparedModel
from camgraph_runtime.preprocess.tensor import normalised

_LAYOUTS = {1: pb.LAYOUT_NCHW, 3: pb.LAYOUT_NHWC, None: pb.LAYOUT_NHW}
_CLIP_LAYOUTS = {1: pb.LAYOUT_NCTHW, 2: pb.LAYOUT_NTCHW, 4: pb.LAYOUT_NTHWC}
_FEWEST_LEVELS = 16  # of the 256 of a pixel, that the values of an input of whole numbers must keep apart


@dataclass(frozen=True)
class MadeInput:
    """How a photo becomes the input tensor, and what the user should know of it, one sentence each."""

    spec: pb.InputSpec
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Values:
    """tensor = (pixel / divisor - mean) / std, mean and std per channel."""

    divisor: float
    mean: list[float]
    std: list[float]


def make_input(
    prepared: PreparedModel,
    options: Input,
    size: tuple[int, int] | None = None,
    open_size: tuple[int, int] | None = None,
    *,
    graph_first: bool = False,
) -> MadeInput:
    """Return how a photo becomes the input of a prepared model.

    Args:
        prepared: the model.
        options: what was stated.
        size: height and width in pixels that the user states.
        open_size: height and width where the model and the user leave them open; 224 without it.
        graph_first: whether values that the graph tells go before those of the options, which no user stated.

    Raises:
        UsageError: what was stated does not fit the model's input.

    """
    image = prepared.image
    dims, axis = dims_of(image), channel_axis(image)
    channels = 1 if axis is None else dims[axis]
    count = channels if isinstance(channels, int) else 3
    expected = expected_values(image, prepared.probe)
    base = options.based_on or _guess(axis, count, expected, options)
    preset = PRESETS[base]
    order = _order(count, _stated_order(options), preset, expected)
    told = None if expected is None else _told(expected, count, options, as_stored=order == "stored")
    is_told = told is not None and (graph_first or not options.stated or _asks_for_shifted_pixels(options, expected))
    values = told if told is not None and is_told else _stated(options, preset, count)
    value_low, value_high = range_for(options.value_range, count)
    frames, sides = frame_axis(image), sides_of(image)
    height, width = _network_size(sides, size, open_size)
    spec = pb.InputSpec(
        tensor=tensor_spec(image),
        layout=_LAYOUTS[axis] if frames is None else _CLIP_LAYOUTS[axis or 1],
        channel_order=CHANNEL_ORDERS[order],
        divisor=values.divisor,
        mean=values.mean,
        std=values.std,
        steps=_steps(options, preset, height, width),
        stated=options.stated,
        told_by_graph=told is not None and values == told,
        band_names=names_for(options.bands, count),
        value_low=value_low,
        value_high=value_high,
        clip=None if frames is None else clip_of(int(dims[frames]), count, options),
    )
    _check_levels(spec)
    notes = [] if is_told else _note_on_part(options, base)
    notes += notes_on_clip(spec, options)
    if spec.steps and not (size or open_size) and any(isinstance(side, str) for side in sides):
        notes.append(_note_on_size(height, width))
    if options.guesses_geometry:
        notes.append(_note_on_geometry(preset, height, width))
    if expected is not None and (values == told or expected.normalises):
        notes.append(expected.note if values == told else expected.note_on_twice)
    return MadeInput(spec, tuple(notes))


def _note_on_part(options: Input, guess: str) -> list[str]:
    """Say which of the values were guessed where only some were stated."""
    values = {"divisor": options.divisor, "mean": options.mean, "std": options.std}
    missing = [name for name, value in values.items() if value is None]
    if options.based_on is not None or len(missing) in (0, len(values)):
        return []
    were, them = ("was", "it") if len(missing) == 1 else ("were", "them")
    left = f"{' and '.join(missing)} {were} guessed as in the preset {guess!r}"
    return [f"Only a part of the input was stated: {left}. State {them} as well."]


def _note_on_size(height: int, width: int) -> str:
    return (
        "The model takes images of several sizes, and does not say which one it was trained with: photos are brought "
        f"to {width} x {height} pixels. State its own size with --input-size HxW, as small objects may be lost at "
        "another."
    )


def _note_on_geometry(preset: Preset, height: int, width: int) -> str:
    """Say what happens to photos of another size where nobody said it."""
    words = {
        "shorter-side": "resized until it covers the input, and what lies beyond is cut off on both sides",
        "stretch": "stretched to the input",
    }
    return (
        f"How a photo gets the size of the input, {width} x {height} pixels, was not stated: it is "
        f"{words[preset.resize]}. State it with --resize."
    )


def _guess(axis: int | None, channels: int, expected: Expected | None, options: Input) -> str:
    """Return the preset where the user states none: the manifest marks it as a guess.

    Values of a range that was stated go in as they are: what would scale them is not known.
    """
    if expected is not None or options.value_range is not None:
        return "raw"
    return "imagenet" if axis in (1, 2) and channels in (1, 3) else "zero-one"


def _stated_order(options: Input) -> str | None:
    """Return the order of channels that was stated, or follows from what was.

    Raises:
        UsageError: names or a range of values were stated for photos.

    """
    if not options.is_of_stored_values or options.channel_order == "stored":
        return options.channel_order
    if options.channel_order is None:
        return "stored"
    raise UsageError(
        "Names of bands and a range of values are for images whose channels go in as they are stored, but the channel "
        f"order is {options.channel_order!r}, whose pixels are 0..255. Leave one of them out."
    )


def _told(expected: Expected, count: int, options: Input, *, as_stored: bool) -> _Values:
    """Return how pixels get the range that the graph expects.

    Stored values of a wide range go in as they are, and so do those of a range that was stated.
    """
    if options.value_range is not None:
        return _Values(1.0, [0.0] * count, [1.0] * count)
    width = expected.white - expected.black
    divisor = 1.0 if as_stored and width >= 255 else 255 / width
    return _Values(divisor, [0.0 - expected.black] * count, [1.0] * count)


def _asks_for_shifted_pixels(options: Input, expected: Expected | None) -> bool:
    """Tell whether the user wants raw pixels of an int8 input, into which they fit only less 128."""
    only_preset = all(x is None for x in (options.divisor, options.mean, options.std))
    return options.based_on == "raw" and only_preset and expected is not None and expected.black == -128


def _stated(options: Input, preset: Preset, count: int) -> _Values:
    """Return what the options state, and for the rest the preset."""
    mean = options.mean if options.mean is not None else _of_preset("mean", preset.mean, options, count)
    std = options.std if options.std is not None else _of_preset("std", preset.std, options, count)
    return _Values(
        options.divisor if options.divisor is not None else preset.divisor,
        _per_channel("mean", mean, count, default=0.0),
        _per_channel("std", std, count, default=1.0),
    )


def _of_preset(what: str, values: Sequence[float], options: Input, count: int) -> Sequence[float]:
    if len(values) in (0, 1, count) or count == 1:
        return values
    raise UsageError(
        f"The preset {options.based_on!r} has a {what} of {len(values)} channels, but the input has {count}. "
        f"State --divisor, --mean and --std, with {count} values each."
    )


def _order(channels: int, stated: str | None, preset: Preset, expected: Expected | None) -> str:
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
    low, high = (list(ends) or [end] * len(spec.mean) for ends, end in ((spec.value_low, 0), (spec.value_high, 255)))
    values = normalised(np.linspace(low, high, 256), spec)
    fewest = min(len(np.unique(column)) for column in values.T)
    if fewest < _FEWEST_LEVELS:
        raise UsageError(
            f"The input is {dtype.name}: of the 256 values of a pixel, what was stated leaves {fewest} whole numbers. "
            "State --preset raw, or nothing."
        )


def _network_size(
    dims: Sequence[int | str], size: tuple[int, int] | None, open_size: tuple[int, int] | None
) -> tuple[int, int]:
    known = [dim if isinstance(dim, int) else None for dim in dims]
    asked = size or (None, None)
    for have, want in zip(known, asked, strict=True):
        if have is not None and want is not None and have != want:
            raise UsageError(
                f"The model's input is {known[0]} x {known[1]} pixels, but --input-size says {asked[0]} x {asked[1]}. "
                "Leave the option out."
            )
    open_sizes = open_size or (224, 224)
    height, width = (have or want or default for have, want, default in zip(known, asked, open_sizes, strict=True))
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


def _steps(options: Input, preset: Preset, height: int, width: int) -> list[pb.GeometryStep]:
    resize = options.resize or preset.resize
    kernel = FILTERS[options.filter or preset.filter]
    exact = pb.GeometryStep(resize_to=pb.ResizeTo(height=height, width=width, filter=kernel))
    if resize == "stretch":
        return [exact]
    if resize == "center-square":
        return [pb.GeometryStep(center_square=pb.CenterSquare()), exact]
    if resize == "letterbox":
        fill = FILL if options.fill is None else options.fill
        return [pb.GeometryStep(letterbox=pb.Letterbox(height=height, width=width, filter=kernel, fill=fill))]
    if resize == "none":
        return []
    # A guess must not cut off the border of a photo that fits: a scratch may lie there.
    ratio = 1 if options.guesses_geometry else preset.shorter_ratio
    shorter = options.shorter_side or round(min(height, width) * ratio)
    crop = pb.GeometryStep(center_crop=pb.CenterCrop(height=height, width=width))
    return [pb.GeometryStep(resize_shorter_side=pb.ResizeShorterSide(size=shorter, filter=kernel)), crop]
