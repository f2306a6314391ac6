"""What is said of an image: classes with their scores, and what goes with them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from camgraph_core.canvas import Canvas
from camgraph_core.png import encode_png
from camgraph_core.rectangle import Rectangle
from camgraph_core.statistics import MapStatistics
from camgraph_core.types import ByteArray, FloatArray

if TYPE_CHECKING:
    from camgraph_core.explanation import Explanation

NO_CLASS = -1
"""Class index of what has no classes: a direction in an embedding space, the one number of a regression."""

_LARGE = 1e5  # sums over many pixels


@dataclass(frozen=True)
class ClassScore:
    """A class with its score.

    Attributes:
        class_index: Index of the class; `NO_CLASS` for an embedding and for the one number of a regression.
        label: Its label; empty if the manifest has none.
        score: y before softmax or sigmoid: of a segmentation summed over the pixels that were counted, of a
            detection that of the box, of an embedding its inner product with the cotangent or its cosine similarity to
            the references, of a regression the number, negated for "less". Not a number in predictions where the
            model's own output hides it.
        probability: By the head's softmax or sigmoid, 0..1; of a segmentation the mean over the pixels that
            were counted. Not a number without such a head.
        anchor: Detection: index of the box.
        area: Segmentation and dense regression: share of the score map that was counted, 0..1: under the mask, or where
            the class wins.
        value: Regression: the number that the model gives; of a dense regression its mean over the pixels that were
            counted.
        box: Detection: where the box lies in the photo (in the input where a tensor was given), cut to it; None if the
            graph does not say.
        below_threshold: Detection: the score of the box is less than the request's score threshold, so that it counts
            as no object. So it is with the best candidate of an image in which nothing is found.

    """

    class_index: int
    label: str
    score: float
    probability: float
    anchor: int | None = None
    area: float | None = None
    value: float | None = None
    box: Rectangle | None = None
    below_threshold: bool = False

    @property
    def name(self) -> str:
        """The label, or "class 3" ("value 3" of a regression) without one; with the box, if there is one."""
        kind = "class" if self.value is None else "value"
        if self.class_index == NO_CLASS:
            return self.label or ("direction" if self.value is None else kind)
        name = self.label or f"{kind} {self.class_index}"
        return name if self.anchor is None else f"{name}, box {self.anchor}"

    @property
    def note(self) -> str:
        """Area, probability and score in words, as far as they are known: "38.6%  ·  score 7.25"; or the value."""
        if self.value is not None and self.area is not None:
            return f"mean {_number(self.value)}  ·  {self.area:.1%} of the area"
        if self.value is not None:
            return f"value {_number(self.value)}"
        parts = [f"{self.area:.1%} of the area"] if self.area is not None else []
        if math.isfinite(self.probability):
            parts.append(f"{self.probability:.1%}" if self.area is None else f"mean {self.probability:.1%}")
        if not math.isnan(self.score):
            parts.append(f"score {_number(self.score)}")
        if self.below_threshold:
            parts.append("below threshold")
        return "  ·  ".join(parts)


def _number(value: float) -> str:
    return f"{value:.2f}" if abs(value) < _LARGE else f"{value:.3g}"


def title_of(target: ClassScore, contrast: ClassScore | None, *, negative: bool) -> str:
    """What is explained, in words: "tabby", "tabby, not tiger cat", "against tabby"."""
    name = target.name if contrast is None else f"{target.name}, not {contrast.name}"
    return f"against {name}" if negative else name


def note_of(target: ClassScore, statistics: MapStatistics) -> str:
    """The target's note, and whether its map is empty or broken."""
    if statistics.nonfinite:
        return f"{target.note}  ·  map broken"
    empty = statistics.all_nonpositive or statistics.constant
    return f"{target.note}  ·  map empty" if empty else target.note


@dataclass(frozen=True)
class Timings:
    """Wall-clock time of each stage, in milliseconds.

    Attributes:
        queue_ms: Waiting for a free worker of a server; 0 in one process.
        decode_ms: Decoding the photo.
        preprocess_ms: Resize, crop, normalisation.
        inference_ms: The graph in onnxruntime.
        postprocess_ms: The maps, their normalisation and resize.
        render_ms: Drawing and encoding, before a server answers; 0 in one process, where outputs are drawn when they
            are read.
        total_ms: From the arrival of the request to its result.

    """

    queue_ms: float = 0.0
    decode_ms: float = 0.0
    preprocess_ms: float = 0.0
    inference_ms: float = 0.0
    postprocess_ms: float = 0.0
    render_ms: float = 0.0
    total_ms: float = 0.0


@dataclass(frozen=True, eq=False)
class Result:
    """Explanations of one image, the same from a graph in this process and from a server.

    Attributes:
        predictions: Best first: classes by score; of a segmentation by area; of a detection the objects after
            non-maximum suppression, each with its best class; of a regression the model's numbers, in its own
            order; of an embedding none.
        explanations: One per target, in the order asked.
        embedding: float32 [D], of an embedding model; None of another.
        canvas: What pictures are drawn on and with.
        timings: Where the time went.
        warnings: Remarks that a user should see, one sentence each.
        model_name: The model of a server that answered; empty in one process.
        model_version: Its version.
        request_id: Echo of the request.

    """

    predictions: list[ClassScore]
    explanations: list[Explanation]
    canvas: Canvas = field(repr=False)
    timings: Timings = field(default_factory=Timings)
    warnings: list[str] = field(default_factory=list)
    model_name: str = ""
    model_version: str = ""
    request_id: str = ""
    embedding: FloatArray | None = field(default=None, repr=False)

    @property
    def photo(self) -> ByteArray | None:
        """The upright photo, uint8 [H, W, 3], RGB; None where a tensor was given.

        Over the wire it is read from what was sent.
        """
        return self.canvas.photo

    @property
    def image_size(self) -> tuple[int, int]:
        """Width and height of the upright photo in pixels; (0, 0) where a tensor was given."""
        height, width = self.canvas.frame.photo_size
        return (width, height) if self.canvas.read_photo is not None else (0, 0)

    def panel(self, *, name: str = "photo", opacity: str = "heat", shared_scale: bool = True) -> ByteArray:
        """The photo and all overlays side by side, for people: uint8 [H, W, 3], RGB.

        Args:
            name: Title of the photo, for example its file name.
            opacity: Where the colours cover the photo, see `Style`.
            shared_scale: Paint a place as hot in all overlays where its map has the same value, so that a class that
                hardly speaks does not glow. It takes maps of one layer each; others are painted by themselves, and so
                is each map without this.

        Raises:
            AbsentOutputError: A tensor was given, or no heatmap came.

        """
        return self.canvas.painter.result_panel(self, name=name, opacity=opacity, shared_scale=shared_scale)

    def save_panel(
        self, path: str | Path, *, name: str = "photo", opacity: str = "heat", shared_scale: bool = True
    ) -> None:
        """Writes the panel to a PNG file; the arguments and errors are those of `panel`."""
        Path(path).write_bytes(encode_png(self.panel(name=name, opacity=opacity, shared_scale=shared_scale)))
