"""Where `camgraph explain` gets explanations from: a graph in this process, or a server."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from camgraph_client.requests import ExplainOptions
from camgraph_core.errors import InvalidInputError
from camgraph_core.request import Window
from camgraph_core.result import note_of, title_of
from camgraph_core.types import ByteArray
from camgraph_runtime import ClassScore, Explainer, Result, Target
from camgraph_runtime.explainer import Limits
from camgraph_runtime.pictures.drawing import draw
from camgraph_runtime.pictures.overlay import encode_png
from camgraph_runtime.pictures.panel import GUIDED_TITLE, Tile
from camgraph_runtime.preprocess import decode

if TYPE_CHECKING:
    from camgraph_client.results import RemoteResult
    from camgraph_client.sync import Client

GUIDED = "guided-grad-cam"
"""The method that also draws the image's gradient."""


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
    window: Window | None = None
    max_side: int | None = None


@dataclass(frozen=True, eq=False)
class Drawing:
    """A picture as PNG, and the tile of a panel that shows it."""

    png: bytes
    tile: Tile


@dataclass(frozen=True, eq=False)
class Overlay:
    """The overlay of one target.

    Attributes:
        title: the class in words.
        drawing: the heatmap on the photo, with its numbers, and whether the map is empty or broken.
        guided: Guided Grad-CAM, where that was the method.
    """

    title: str
    drawing: Drawing
    guided: Drawing | None


@dataclass(frozen=True, eq=False)
class Explained:
    """What a source says about one image: the photo uint8 [H, W, 3] RGB, best classes, overlays, remarks.

    Overlays are drawn when they are asked for, and once: each is large, and none need be kept.
    """

    photo: ByteArray
    predictions: list[ClassScore]
    overlays: Iterator[Overlay]
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
            window=wish.window,
            targets=wish.targets,
            top_k=wish.top_k,
            method=wish.method,
            layers=wish.layers,
            num_predictions=wish.num_predictions,
        )
        if result.photo is None:
            raise InvalidInputError(f"{path} gave no photo to draw on.")
        return Explained(result.photo, result.predictions, _drawn(result, wish), result.warnings)

    def close(self) -> None:
        """Closes the engine."""
        self._explainer.close()


def _drawn(result: Result, wish: Wish) -> Iterator[Overlay]:
    for drawn in draw(result, colormap=wish.colormap, image_weight=wish.image_weight, max_side=wish.max_side):
        title, note, mask = drawn.explanation.title, drawn.explanation.note, drawn.mask
        guided = None
        if drawn.guided is not None:
            guided = Drawing(encode_png(drawn.guided), Tile(drawn.guided, title, GUIDED_TITLE, mask).shrunk())
        yield Overlay(
            title, Drawing(encode_png(drawn.overlay), Tile(drawn.overlay, title, note, mask).shrunk()), guided
        )


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
            "outputs": ["overlay-png", "guided-png"] if wish.method == GUIDED else ["overlay-png"],
            "colormap": wish.colormap,
            "image_weight": wish.image_weight,
            "num_predictions": wish.num_predictions,
        }
        if wish.window is not None:
            options["window"] = wish.window
        if wish.method is not None:
            options["method"] = wish.method
        result = self._client.explain(path, **options)
        overlays = _received(result, _asked(wish, len(result.explanations)))
        return Explained(_pixels(path, wish.window), result.predictions, overlays, result.warnings)

    def close(self) -> None:
        """Closes the connection."""
        self._client.close()


def _received(result: RemoteResult, targets: Sequence[Target]) -> Iterator[Overlay]:
    for item, target in zip(result.explanations, targets, strict=True):
        title = title_of(item.target, item.contrast, negative=target.negative)
        note, mask = note_of(item.target, item.statistics), target.mask
        png, guided = item.overlay_png or b"", None
        if item.guided_png is not None:
            guided = Drawing(item.guided_png, Tile(_pixels(item.guided_png), title, GUIDED_TITLE, mask).shrunk())
        yield Overlay(title, Drawing(png, Tile(_pixels(png), title, note, mask).shrunk()), guided)


def _asked(wish: Wish, count: int) -> Sequence[Target]:
    """The targets behind the explanations: those that were named, then the best classes."""
    return [*wish.targets, *[Target()] * (count - len(wish.targets))]


def _pixels(source: Path | bytes, window: Window | None = None) -> ByteArray:
    return decode(source, max_pixels=Limits().max_pixels, window=window)
