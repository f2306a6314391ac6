"""What is said of a clip or a volume: one explanation per target over all frames, and pictures that play it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from camgraph_core.canvas import Canvas
from camgraph_core.explanation import Explanation
from camgraph_core.frame import Frame
from camgraph_core.outputs import OUTPUTS, Outputs, absent
from camgraph_core.png import encode_png
from camgraph_core.result import ClassScore, Result, Timings, note_of, title_of
from camgraph_core.statistics import MapStatistics
from camgraph_core.types import ByteArray, FloatArray

_PER_SECOND = 8  # frames that are played of a clip whose times are not known


@dataclass(frozen=True)
class Taken:
    """Which frames of what was given the network got.

    Attributes:
        numbers: Their numbers in it, from 0.
        seconds: When each is shown in the video; None of others.
        is_volume: They are slices of a volume, not moments.

    """

    numbers: Sequence[int]
    seconds: Sequence[float] | None = None
    is_volume: bool = False

    @property
    def names(self) -> list[str]:
        """What each is called: "0:01.5" of a video, "frame 12", "slice 12"."""
        if self.seconds is not None:
            return [_clock(moment) for moment in self.seconds]
        return [f"{'slice' if self.is_volume else 'frame'} {number}" for number in self.numbers]

    @property
    def times(self) -> list[float]:
        """Seconds from the first frame, for playing: as in the video, or at an even pace."""
        if self.seconds is None or self.seconds[-1] <= self.seconds[0]:
            return [number / _PER_SECOND for number in range(len(self.numbers))]
        return [moment - self.seconds[0] for moment in self.seconds]


def _clock(seconds: float) -> str:
    tenths = round(seconds * 10)
    return f"{tenths // 600}:{tenths // 10 % 60:02d}.{tenths % 10}"


@dataclass(frozen=True, eq=False)
class ClipExplanation(Outputs):
    """The explanation of one target over all frames, the same from a graph in this process and from a server.

    Its outputs are the attributes of `Outputs`, with time before the others of their axes: ``heatmap`` is float32
    [T, H, W] in 0..1, and its 1 is the hottest place of the whole clip; ``raw_maps`` are [t, h, w] and ``activations``
    [K, t, h, w] per layer. Pictures and hot regions are tuples with one per frame.

    Attributes:
        target: The class that the target resolved to.
        contrast: The class that it was held against, if any.
        negative: The map shows what speaks against the class.
        statistics: Statistics of the raw maps.
        layers: Names of the layers.
        method: Name of the method.
        canvases: What pictures of each frame are drawn on and with.
        taken: Which frames they are.
        given: The outputs that the run gave, or that came, by name.
        complete: What the run did not give is drawn from it; False for what came over the wire.
        in_input_frame: The heat lies in the frame of the network's input, as always for a clip.

    """

    target: ClassScore
    contrast: ClassScore | None
    negative: bool
    statistics: MapStatistics
    layers: tuple[str, ...]
    method: str
    canvases: Sequence[Canvas] = field(repr=False)
    taken: Taken = field(repr=False)
    given: Mapping[str, Any] = field(repr=False)
    complete: bool
    in_input_frame: bool = True

    @property
    def title(self) -> str:
        """The target in words, see `title_of`."""
        return title_of(self.target, self.contrast, negative=self.negative)

    @property
    def note(self) -> str:
        """Its numbers in words, see `note_of`."""
        return note_of(self.target, self.statistics)

    @property
    def frame(self) -> Frame:
        """Where each photo (or the tensor that was given) lies in the network's input."""
        return self.canvases[0].frame

    @property
    def names(self) -> list[str]:
        """What each frame is called: "0:01.5" of a video, "frame 12", "slice 12"."""
        return self.taken.names

    @property
    def marked(self) -> None:
        """What a score was taken over is not shown of a clip."""

    @cached_property
    def frames(self) -> list[Explanation]:
        """One explanation per frame, each on its own photo; all share the scale of the clip."""
        of_frames = [name for name in self.given if not OUTPUTS[name].per_layer]
        return [
            Explanation(
                target=self.target,
                contrast=self.contrast,
                negative=self.negative,
                statistics=self.statistics,
                layers=self.layers,
                method=self.method,
                in_input_frame=self.in_input_frame,
                canvas=canvas,
                given={name: self.given[name][place] for name in of_frames},
                complete=self.complete,
            )
            for place, canvas in enumerate(self.canvases)
        ]

    def output(self, name: str) -> Any:
        """The output of a name; it is not kept, as the attribute is.

        Raises:
            AbsentOutputError: It was not asked for, or there is none without a photo.

        """
        if name in self.given:
            return self.given[name]
        if not self.complete:
            raise absent(name)
        return of_all_frames([frame.output(name) for frame in self.frames])

    def overlays(self) -> list[ByteArray]:
        """The overlay on each frame, uint8 [H, W, 3], RGB.

        Raises:
            AbsentOutputError: A tensor was given, or neither a heatmap nor overlays came.

        """
        return [frame.overlay() for frame in self.frames]

    def sheet(self) -> ByteArray:
        """A contact sheet of up to twelve frames, uint8 [H, W, 3], RGB; the errors are those of `overlays`."""
        return self.canvases[0].painter.clip_sheet(self)

    def save(self, path: str | Path) -> None:
        """Writes a contact sheet (.png), an animated picture (.gif), or a video (.mp4, .mkv, .mov, .webm).

        Raises:
            UsageError: The format is another, or of a video PyAV is not installed.
            AbsentOutputError: As for `overlays`.

        """
        path = Path(path)
        if path.suffix.lower() == ".png":
            path.write_bytes(encode_png(self.sheet()))
        else:
            self.canvases[0].painter.play_clip(self, path)


def of_all_frames(values: Sequence[Any]) -> Any:
    """The output of a clip from those of its frames: an array [T, ...] of arrays, a tuple of others."""
    return np.stack(values) if isinstance(values[0], np.ndarray) else tuple(values)


@dataclass(frozen=True, eq=False)
class ClipResult:
    """Explanations of one clip or volume, the same from a graph in this process and from a server.

    Attributes:
        predictions: Best first, as of a `Result`.
        explanations: One per target, in the order asked.
        canvases: What pictures of each frame are drawn on and with.
        taken: Which frames of what was given the network got.
        timings: Where the time went.
        warnings: Remarks that a user should see, one sentence each.
        model_name: The model of a server that answered; empty in one process.
        model_version: Its version.
        request_id: Echo of the request.
        embedding: float32 [D], of an embedding model; None of another.

    """

    predictions: list[ClassScore]
    explanations: list[ClipExplanation]
    canvases: Sequence[Canvas] = field(repr=False)
    taken: Taken
    timings: Timings = field(default_factory=Timings)
    warnings: list[str] = field(default_factory=list)
    model_name: str = ""
    model_version: str = ""
    request_id: str = ""
    embedding: FloatArray | None = field(default=None, repr=False)

    @property
    def numbers(self) -> Sequence[int]:
        """Which frames of what was given the network got, from 0."""
        return self.taken.numbers

    @property
    def seconds(self) -> Sequence[float] | None:
        """When each is shown in the video; None of others."""
        return self.taken.seconds

    @property
    def canvas(self) -> Canvas:
        """That of the first frame; the photos of all have one size and one place in the network's input."""
        return self.canvases[0]

    @property
    def image_size(self) -> tuple[int, int]:
        """Width and height of the upright frames in pixels; (0, 0) where a tensor was given."""
        height, width = self.canvas.frame.photo_size
        return (width, height) if self.canvas.read_photo is not None else (0, 0)

    def of_frames(self, taken: Taken, remarks: Sequence[str]) -> ClipResult:
        """The result of frames that were taken out of more, with what is to be said of that first."""
        return replace(
            self,
            taken=taken,
            explanations=[replace(one, taken=taken) for one in self.explanations],
            warnings=[*remarks, *self.warnings],
        )


AnyExplanation: TypeAlias = Explanation | ClipExplanation
"""The explanation of one target, of a single image or of a clip."""

AnyResult: TypeAlias = Result | ClipResult
"""What is said of a single image, or of a clip."""
