"""How pictures are drawn and encoded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from camgraph_core.errors import UsageError
from camgraph_core.names import unknown_name

COLORMAPS = ("jet", "viridis", "turbo", "inferno")
OPACITIES = ("even", "heat")


@dataclass(frozen=True, kw_only=True)
class Style:
    """How pictures are drawn and encoded.

    Attributes:
        colormap: Colour map of overlays.
        image_weight: Weight of the photo against the colours, 0..1.
        opacity: Where the colours cover the photo: "even" everywhere alike, as grad-cam does; "heat" more where it is
            hotter, so that the photo stays as it is where the map is cold.
        jpeg_quality: Quality of JPEGs, 1..100.
        png_level: Effort of the compression of PNGs, 0 (none) to 9 (smallest); None leaves it to the encoder, which
            is fast. The pixels are the same.
        max_side: Longest side in pixels of every output in the frame of the photo. The photo is shrunk first, and
            nothing larger is computed; nothing is enlarged. None means the size of the photo.
        hot_from: The heat from which on a cell of the heatmap belongs to a hot region, above 0 and up to 1.
        display_bands: Of an image of bands those that people see, one as grey or three as red, green and blue, each by
            its name or its number from 1. A ready tensor has pictures only where they are named.
        stretch: Percentiles of these bands that are black and white; None leaves pixels of 8 bits as they are, and
            takes 2 and 98 of others.

    Raises:
        UsageError: The colour map does not exist, or a number is out of its range.

    """

    colormap: str = "jet"
    image_weight: float = 0.5
    opacity: str = "even"
    jpeg_quality: int = 90
    png_level: int | None = None
    max_side: int | None = None
    hot_from: float = 0.5
    display_bands: Sequence[str] = ()
    stretch: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "display_bands", tuple(self.display_bands))
        if len(self.display_bands) not in (0, 1, 3):
            raise UsageError(f"Pictures show one band or three, but {len(self.display_bands)} were named.")
        if self.stretch is not None and not 0 <= self.stretch[0] < self.stretch[1] <= 100:
            raise UsageError(
                f"A stretch goes from a low to a higher percentile in 0..100, but this is {self.stretch[0]:g} to "
                f"{self.stretch[1]:g}."
            )
        if self.colormap not in COLORMAPS:
            raise unknown_name("colour map", self.colormap, COLORMAPS)
        if not 0 <= self.image_weight <= 1:
            raise UsageError(f"The image weight is {self.image_weight}; it must lie in 0..1.")
        if self.opacity not in OPACITIES:
            raise unknown_name("opacity", self.opacity, OPACITIES)
        if not 1 <= self.jpeg_quality <= 100:
            raise UsageError(f"The JPEG quality is {self.jpeg_quality}; it must lie in 1..100.")
        if self.png_level is not None and not 0 <= self.png_level <= 9:
            raise UsageError(f"The PNG level is {self.png_level}; it must lie in 0..9.")
        if self.max_side is not None and self.max_side < 1:
            raise UsageError(f"The longest side of a picture is {self.max_side}; it must be 1 pixel at least.")
        if not 0 < self.hot_from <= 1:
            raise UsageError(f"Regions are hot from {self.hot_from} on; it must lie above 0 and not above 1.")
