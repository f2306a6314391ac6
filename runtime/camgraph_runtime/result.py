"""What an explanation consists of."""

from __future__ import annotations

from dataclasses import dataclass, field

from camgraph_runtime.statistics import MapStatistics
from camgraph_runtime.types import ByteArray, FloatArray


@dataclass(frozen=True)
class ClassScore:
    """A class with its score.

    Attributes:
        class_index: Index of the class.
        label: Its label; empty if the manifest has none.
        score: y before softmax or sigmoid.
        probability: By the head's softmax or sigmoid, 0..1.

    """

    class_index: int
    label: str
    score: float
    probability: float

    @property
    def name(self) -> str:
        """The label, or "class 3" without one."""
        return self.label or f"class {self.class_index}"


@dataclass(frozen=True)
class Timings:
    """Wall-clock time of each stage, in milliseconds."""

    decode_ms: float = 0.0
    preprocess_ms: float = 0.0
    inference_ms: float = 0.0
    postprocess_ms: float = 0.0


@dataclass(frozen=True, eq=False)
class Explanation:
    """The explanation of one target.

    Attributes:
        target: The class that the target resolved to.
        contrast: The class that it was held against, if any.
        negative: The map shows what speaks against the class.
        heatmap: float32 [H, W] in 0..1 in the frame of the photo (0 where the network did not look), or of
            the input where a tensor was given. With the profile "raw": the signed map [h, w].
        input_heatmap: float32 [h_in, w_in], in the frame of the network's input. With the profile "raw" as
            above.
        raw_maps: The signed map [h, w] of each layer, before ReLU and scaling.
        weights: Mean gradient alpha [K] of each layer; contrast and sign are worked in.
        activations: A [K, h, w] of each layer.
        statistics: Statistics of the raw maps.
        layers: Names of the layers.
        method: Name of the method.

    """

    target: ClassScore
    contrast: ClassScore | None
    negative: bool
    heatmap: FloatArray
    input_heatmap: FloatArray
    raw_maps: tuple[FloatArray, ...]
    weights: tuple[FloatArray, ...]
    activations: tuple[FloatArray, ...]
    statistics: MapStatistics
    layers: tuple[str, ...]
    method: str

    @property
    def raw_map(self) -> FloatArray:
        """The raw map [h, w] of the first layer."""
        return self.raw_maps[0]

    @property
    def title(self) -> str:
        """The class in words: "tabby", "tabby, not tiger cat", "against tabby"."""
        name = self.target.name if self.contrast is None else f"{self.target.name}, not {self.contrast.name}"
        return f"against {name}" if self.negative else name


@dataclass(frozen=True, eq=False)
class Result:
    """Explanations of one image.

    Attributes:
        predictions: The best classes by score, best first.
        explanations: One a target, in the order asked.
        photo: The upright photo, uint8 [H, W, 3], RGB; None where a tensor was given.
        timings: Where the time went.
        warnings: Remarks that a user should see, one sentence each.

    """

    predictions: list[ClassScore]
    explanations: list[Explanation]
    photo: ByteArray | None = None
    timings: Timings = field(default_factory=Timings)
    warnings: list[str] = field(default_factory=list)
