"""What a caller asks of a model about one image, the same in this process and over the wire."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from camgraph_core.errors import UsageError
from camgraph_core.outputs import check_outputs
from camgraph_core.style import Style
from camgraph_core.target import Target
from camgraph_core.types import AnyArray
from camgraph_core.windows import Window

DEFAULT_PROFILE = "pytorch-grad-cam"


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to explain of an image, and what to give back. Everything has a default; sequences are kept as tuples.

    Attributes:
        targets: What to explain, one explanation each. Of an embedding model nothing is explained without any, and
            the result has the embedding.
        top_k: Also explains the k best classes, after ``targets``; with neither, the best class.
        method: Name of the CAM method; None means the model's default.
        layers: Target layers by name or alias, fused if several; by default the model's first.
        profile: Post-processing: "pytorch-grad-cam" or "raw".
        num_predictions: Number of best classes (of a detection, objects) to list.
        score_threshold: Of a detection the least score of an object that is listed: its probability where the model
            gives one.
        iou_threshold: Of a detection, two boxes of one class whose intersection over union is larger are one object.
        outputs: Names of what to give back for each target, see `camgraph_core.outputs.OUTPUTS`, each once; without
            any, the heatmap.
        style: How pictures are drawn.
        window: The values of the image that become 0 and 255, where it is not of 8 bits.
        frame: Number of the frame of a DICOM file, from 1; may be left out if there is one.
        nodata: The value of an image of stored channels that stands for no data, beside what is not a finite number and
            what the file itself names so.
        scaled_decoding: A large JPEG is decoded at 1/2, 1/4 or 1/8 of its size, as far as the network's input and the
            pictures that are asked for allow.
        bank: Also says how far the image is from the model's memory bank, as one more explanation, the last one.
        request_id: Comes back in the result, and is written to a server's log.

    Raises:
        UsageError: An output does not exist, the number of predictions is negative, a threshold is not in 0..1, or a
            frame is smaller than 1.

    """

    targets: Sequence[Target] = ()
    top_k: int = 0
    method: str | None = None
    layers: Sequence[str] = ()
    profile: str = DEFAULT_PROFILE
    num_predictions: int = 5
    score_threshold: float = 0.25
    iou_threshold: float = 0.45
    outputs: Sequence[str] = ()
    style: Style = field(default_factory=Style)
    window: Window | None = None
    frame: int | None = None
    nodata: float | None = None
    scaled_decoding: bool = False
    bank: bool = False
    request_id: str = ""

    def __post_init__(self) -> None:
        for name in ("targets", "layers"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        object.__setattr__(self, "outputs", tuple(dict.fromkeys(self.outputs)))
        check_outputs(self.outputs)
        if self.num_predictions < 0:
            raise UsageError(f"The number of predictions is {self.num_predictions}; it cannot be negative.")
        if self.frame is not None and self.frame < 1:
            raise UsageError(f"Frames start at 1, but {self.frame} was asked for.")
        for name in ("score_threshold", "iou_threshold"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"The {name.replace('_', ' ')} is {getattr(self, name)}; it must lie in 0..1.")


@dataclass(frozen=True, kw_only=True)
class Addressed:
    """A request with what it is about.

    Attributes:
        request: What to explain.
        image: An encoded picture or NumPy file.
        tensor: A ready input tensor [1, ...], in place of an image.
        frames: In place of an image the frames of a clip that the network takes, each an encoded picture or NumPy file.
        model: Name of the model; may be empty if the server has exactly one.
        version: Version of the model; empty means the newest.

    """

    request: Request
    image: bytes | None = None
    tensor: AnyArray | None = None
    frames: tuple[bytes, ...] | None = None
    model: str = ""
    version: str = ""

    @property
    def has_photo(self) -> bool:
        """Whether it is about an image or the frames of a clip, so that there are pictures."""
        return self.image is not None or self.frames is not None
