"""What a caller asks of a model about one image, the same in this process and over the wire."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from camgraph_core.errors import UsageError
from camgraph_core.target import Target

Window: TypeAlias = tuple[float, float]
"""The values of a picture that become 0 and 255."""

DEFAULT_PROFILE = "pytorch-grad-cam"


@dataclass(frozen=True, kw_only=True)
class Style:
    """How pictures are drawn and encoded.

    Attributes:
        colormap: Colour map of overlays.
        image_weight: Weight of the photo against the colours, 0..1.
        jpeg_quality: Quality of JPEGs, 1..100.
        png_level: Effort of the compression of PNGs, 0 (none) to 9 (smallest); None leaves it to the encoder, which
            is fast. The pixels are the same.
        max_side: Longest side in pixels of every output in the frame of the photo. The photo is shrunk first, and
            nothing larger is computed; nothing is enlarged. None means the size of the photo.

    Raises:
        UsageError: A number is out of its range.

    """

    colormap: str = "jet"
    image_weight: float = 0.5
    jpeg_quality: int = 90
    png_level: int | None = None
    max_side: int | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.image_weight <= 1:
            raise UsageError(f"The image weight is {self.image_weight}; it must lie in 0..1.")
        if not 1 <= self.jpeg_quality <= 100:
            raise UsageError(f"The JPEG quality is {self.jpeg_quality}; it must lie in 1..100.")
        if self.png_level is not None and not 0 <= self.png_level <= 9:
            raise UsageError(f"The PNG level is {self.png_level}; it must lie in 0..9.")
        if self.max_side is not None and self.max_side < 1:
            raise UsageError(f"The longest side of a picture is {self.max_side}; it must be 1 pixel at least.")


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to explain of an image, and what to give back. Everything has a default; sequences are kept as tuples.

    Attributes:
        targets: What to explain, one explanation each. An embedding model needs at least one.
        top_k: Also explains the k best classes, after ``targets``; with neither, the best class.
        method: Name of the CAM method; None means the model's default.
        layers: Target layers by name or alias, fused if several; by default the model's first.
        profile: Post-processing: "pytorch-grad-cam" or "raw".
        num_predictions: Number of best classes (of a detection, boxes) to list.
        outputs: Names of what to give back for each target; without any, the heatmap.
        style: How pictures are drawn.
        window: The values of the image that become 0 and 255, where it is not of 8 bits.
        request_id: Comes back in the result, and is written to a server's log.

    Raises:
        UsageError: The number of predictions is negative.

    """

    targets: Sequence[Target] = ()
    top_k: int = 0
    method: str | None = None
    layers: Sequence[str] = ()
    profile: str = DEFAULT_PROFILE
    num_predictions: int = 5
    outputs: Sequence[str] = ()
    style: Style = field(default_factory=Style)
    window: Window | None = None
    request_id: str = ""

    def __post_init__(self) -> None:
        for name in ("targets", "layers", "outputs"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if self.num_predictions < 0:
            raise UsageError(f"The number of predictions is {self.num_predictions}; it cannot be negative.")
