"""The outputs of an explanation: one table, which is all that says what there is.

A new output is a row here and a value of the enum `OutputKind` in `proto/camgraph/v1/explanation.proto`; see
docs/adding-an-output-kind.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from camgraph_core.errors import AbsentOutputError, InvalidInputError
from camgraph_core.names import unknown_name
from camgraph_core.regions import HotRegion, hot_regions
from camgraph_core.types import AnyArray, FloatArray

if TYPE_CHECKING:
    from camgraph_core.explanation import Explanation

Value: TypeAlias = AnyArray | bytes | tuple[HotRegion, ...]

NO_PHOTO = "An overlay needs a photo, but a tensor was sent; ask for the heatmap."
SIGNED = "The profile raw gives signed values, not a picture; ask for the raw map."


@dataclass(frozen=True)
class OutputKind:
    """An output of an explanation.

    Attributes:
        name: Its name in a request: "overlay-png" is the attribute ``overlay_png`` and ``OUTPUT_KIND_OVERLAY_PNG``.
        draw: Makes it from an explanation; None where the run of the graph gives it.
        per_layer: It is a tuple with one value for each layer.
        needs_photo: It is drawn on the photo.
        needs_unit_range: It is drawn from a heatmap in 0..1.
        needs_guided: It exists with Guided Grad-CAM alone.
        attribute: Its name as an attribute, if that is another.

    """

    name: str
    draw: Callable[[Explanation], Value] | None = None
    per_layer: bool = False
    needs_photo: bool = False
    needs_unit_range: bool = False
    needs_guided: bool = False
    attribute: str = ""

    def obstacle(self, *, has_photo: bool, in_unit_range: bool, has_guided: bool, method: str) -> str | None:
        """Why a request cannot have this output, in a sentence; None if it can."""
        if self.needs_photo and not has_photo:
            return NO_PHOTO
        if self.needs_unit_range and not in_unit_range:
            return SIGNED
        if self.needs_guided and not has_guided:
            return f"The method {method} has no guided map; ask for guided-grad-cam, or leave that output out."
        return None


OUTPUTS: dict[str, OutputKind] = {}
DEFAULT_OUTPUTS = ("heatmap",)
_OF_ATTRIBUTE: dict[str, OutputKind] = {}


def _add(row: OutputKind) -> None:
    OUTPUTS[row.name] = _OF_ATTRIBUTE[row.attribute or row.name.replace("-", "_")] = row


_add(OutputKind("heatmap", lambda item: item.heatmap_within(item.canvas.style.max_side)))
_add(OutputKind("heatmap-png", lambda item: item.png(item.grey()), needs_unit_range=True))
_add(OutputKind("overlay-png", lambda item: item.png(item.overlay()), needs_photo=True, needs_unit_range=True))
_add(OutputKind("overlay-jpeg", lambda item: item.jpeg(item.overlay()), needs_photo=True, needs_unit_range=True))
_add(OutputKind("raw-map", per_layer=True, attribute="raw_maps"))
_add(OutputKind("input-heatmap"))
_add(OutputKind("weights", per_layer=True))
_add(OutputKind("activations", per_layer=True))
_add(OutputKind("guided", needs_guided=True))
_add(OutputKind("guided-png", lambda item: item.png(item.guided_picture()), needs_guided=True))
_add(
    OutputKind(
        "hot-regions",
        lambda item: hot_regions(item.input_heatmap, item.frame, item.canvas.style.hot_from),
        needs_unit_range=True,
    )
)


def check_outputs(names: Iterable[str]) -> None:
    """Checks that there are such outputs.

    Raises:
        UsageError: There is one that does not exist.

    """
    for name in names:
        if name not in OUTPUTS:
            raise unknown_name("output", name, OUTPUTS)


def check_possible(
    names: Iterable[str], *, has_photo: bool, in_unit_range: bool, has_guided: bool, method: str
) -> None:
    """Checks that a request can have its outputs, before any work is done for it.

    Raises:
        InvalidInputError: It cannot have one of them.

    """
    for name in names:
        obstacle = OUTPUTS[name].obstacle(
            has_photo=has_photo, in_unit_range=in_unit_range, has_guided=has_guided, method=method
        )
        if obstacle is not None:
            raise InvalidInputError(obstacle)


class Outputs:
    """The outputs of an explanation as attributes, each made when it is read, and kept.

    In one process everything that the run gives can be read. Over the wire an output that was not asked for is absent:
    reading it raises `AbsentOutputError`, and `hasattr` says False.

    Attributes:
        heatmap: float32 [H, W] in 0..1 in the frame of the photo, or of the input where a tensor was given; 0 where
            the network did not look. With ``max_side`` no larger than that. With the profile "raw" it is the signed
            map [h, w].
        heatmap_png: The heatmap as an 8-bit grey PNG.
        overlay_png: The overlay on the photo as PNG.
        overlay_jpeg: The overlay on the photo as JPEG.
        raw_map: The raw map of the first layer.
        raw_maps: The signed map [h, w] of each layer, before ReLU and scaling, float32.
        input_heatmap: float32 [h_in, w_in] in 0..1, in the frame of the network's input. With the profile "raw" the
            signed map [h, w].
        weights: Mean gradient alpha [K] of each layer, float32; contrast and sign are worked in.
        activations: A [K, h, w] of each layer.
        guided: Guided Grad-CAM, float32 [h_in, w_in, 3], signed, RGB, in the frame of the network's input.
        guided_png: Guided Grad-CAM as PNG, in the frame of the photo.
        hot_regions: The connected regions of the heatmap that are as hot as the request's ``hot_from``, those with the
            most energy first, each a `HotRegion` with box, area, mean, peak and share of the energy.

    """

    heatmap: FloatArray
    heatmap_png: bytes
    overlay_png: bytes
    overlay_jpeg: bytes
    raw_map: FloatArray
    raw_maps: tuple[FloatArray, ...]
    input_heatmap: FloatArray
    weights: tuple[FloatArray, ...]
    activations: tuple[FloatArray, ...]
    guided: FloatArray
    guided_png: bytes
    hot_regions: tuple[HotRegion, ...]

    def output(self, name: str) -> Any:
        """The output of a name.

        Raises:
            AbsentOutputError: It was not asked for, or this image, profile or method has none.

        """
        raise NotImplementedError

    def gives(self, _: str) -> bool:
        """Whether it can have an output, if that was asked for."""
        return True

    def __getattr__(self, attribute: str) -> Any:
        if attribute == "raw_map":
            return self.raw_maps[0]
        if attribute not in _OF_ATTRIBUTE:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {attribute!r}")
        value = self.output(_OF_ATTRIBUTE[attribute].name)
        self.__dict__[attribute] = value
        return value

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *_OF_ATTRIBUTE, "raw_map"})


def absent(name: str) -> AbsentOutputError:
    """The error for an output that did not come."""
    return AbsentOutputError(f"The output {name!r} was not asked for; name it in outputs=.")
