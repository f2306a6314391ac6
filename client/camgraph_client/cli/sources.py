"""Where `camgraph explain` gets explanations from: a graph in this process, or a server."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from camgraph_client.requests import ExplainOptions
from camgraph_runtime import ClassScore, Explainer, MapStatistics, Target
from camgraph_runtime.errors import InvalidInputError
from camgraph_runtime.explainer import Limits
from camgraph_runtime.overlay import encode_png, overlay
from camgraph_runtime.preprocess import decode
from camgraph_runtime.types import ByteArray

if TYPE_CHECKING:
    from camgraph_client.sync import Client


@dataclass(frozen=True)
class Wish:
    """What to explain of every image, and how overlays look."""

    targets: tuple[Target, ...]
    top_k: int
    method: str | None
    layers: tuple[str, ...]
    colormap: str
    image_weight: float
    num_predictions: int


@dataclass(frozen=True, eq=False)
class Overlay:
    """The overlay of one target.

    Attributes:
        title: the class in words.
        note: its probability and score, and whether the map is empty or broken.
        picture: uint8 [H, W, 3], RGB.
        png: the same picture as PNG.
    """

    title: str
    note: str
    picture: ByteArray
    png: bytes


@dataclass(frozen=True, eq=False)
class Explained:
    """What a source says about one image: the photo uint8 [H, W, 3] RGB, best classes, overlays, remarks."""

    photo: ByteArray
    predictions: list[ClassScore]
    overlays: list[Overlay]
    warnings: list[str]


class Source(Protocol):
    """Explains one image after the other."""

    def explain(self, path: Path, wish: Wish) -> Explained:
        """Explains the image in a file.

        Raises:
            CamgraphError: it cannot be done.
        """

    def close(self) -> None:
        """Frees what the source holds."""


class GraphSource:
    """An explainable graph in this process."""

    def __init__(self, explainer: Explainer) -> None:
        self._explainer = explainer

    def explain(self, path: Path, wish: Wish) -> Explained:
        """Explains the image in a file."""
        result = self._explainer.explain(
            path,
            targets=wish.targets,
            top_k=wish.top_k,
            method=wish.method,
            layers=wish.layers,
            num_predictions=wish.num_predictions,
        )
        if result.photo is None:
            raise InvalidInputError(f"{path} gave no photo to draw on.")
        overlays = []
        for item in result.explanations:
            picture = overlay(result.photo, item.heatmap, colormap=wish.colormap, image_weight=wish.image_weight)
            note = _note(item.target, item.statistics)
            overlays.append(Overlay(item.title, note, picture, encode_png(picture)))
        return Explained(result.photo, result.predictions, overlays, result.warnings)

    def close(self) -> None:
        """Closes the engine."""
        self._explainer.close()


class ServerSource:
    """A model of a camgraph server."""

    def __init__(self, client: Client, model: str, version: str) -> None:
        self._client = client
        self._model, self._version = model, version

    def explain(self, path: Path, wish: Wish) -> Explained:
        """Explains the image in a file."""
        options: ExplainOptions = {
            "model": self._model,
            "version": self._version,
            "targets": wish.targets,
            "top_k": wish.top_k,
            "layers": wish.layers,
            "outputs": ["overlay-png"],
            "colormap": wish.colormap,
            "image_weight": wish.image_weight,
            "num_predictions": wish.num_predictions,
        }
        if wish.method is not None:
            options["method"] = wish.method
        result = self._client.explain(path, **options)
        overlays = []
        for item, target in zip(result.explanations, _asked(wish, len(result.explanations)), strict=True):
            png = item.overlay_png or b""
            title = _title(item.target, item.contrast, negative=target.negative)
            overlays.append(Overlay(title, _note(item.target, item.statistics), _pixels(png), png))
        return Explained(_pixels(path), result.predictions, overlays, result.warnings)

    def close(self) -> None:
        """Closes the connection."""
        self._client.close()


def _asked(wish: Wish, count: int) -> Sequence[Target]:
    """The targets behind the explanations: those that were named, then the best classes."""
    return [*wish.targets, *[Target()] * (count - len(wish.targets))]


def _pixels(source: Path | bytes) -> ByteArray:
    return decode(source, max_pixels=Limits().max_pixels)


def _title(target: ClassScore, contrast: ClassScore | None, *, negative: bool) -> str:
    name = target.name if contrast is None else f"{target.name}, not {contrast.name}"
    return f"against {name}" if negative else name


def _note(target: ClassScore, statistics: MapStatistics) -> str:
    parts = [f"{target.probability:.1%}"] if math.isfinite(target.probability) else []
    parts.append(f"score {target.score:.2f}")
    if statistics.nonfinite:
        parts.append("map broken")
    elif statistics.all_nonpositive or statistics.constant:
        parts.append("map empty")
    return "  ·  ".join(parts)
