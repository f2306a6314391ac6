"""Where `camgraph explain` gets explanations from: a graph in this process, or a server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self

from camgraph_client.requests import ExplainOptions
from camgraph_runtime import ClassScore, Explainer, Target
from camgraph_runtime.errors import InvalidInputError
from camgraph_runtime.explainer import Limits
from camgraph_runtime.overlay import encode_png, overlay
from camgraph_runtime.preprocess import Window, decode
from camgraph_runtime.result import note_of, title_of
from camgraph_runtime.types import ByteArray

if TYPE_CHECKING:
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


@dataclass(frozen=True, eq=False)
class Drawing:
    """A picture, uint8 [H, W, 3] RGB, and the same as PNG."""

    picture: ByteArray
    png: bytes

    @classmethod
    def of_picture(cls, picture: ByteArray) -> Self:
        """The drawing of a picture."""
        return cls(picture, encode_png(picture))

    @classmethod
    def of_png(cls, png: bytes) -> Self:
        """The drawing of a PNG."""
        return cls(_pixels(png), png)


@dataclass(frozen=True, eq=False)
class Overlay:
    """The overlay of one target.

    Attributes:
        title: the class in words.
        note: its numbers, and whether the map is empty or broken.
        drawing: the heatmap on the photo.
        guided: Guided Grad-CAM, where that was the method.
        mask: the region that was explained, [H, W], if one was given.
    """

    title: str
    note: str
    drawing: Drawing
    guided: Drawing | None
    mask: ByteArray | None


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
            window=wish.window,
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
            picture = overlay(result.photo, item.tiled_heatmap, colormap=wish.colormap, image_weight=wish.image_weight)
            guided = None if item.guided_picture is None else Drawing.of_picture(item.guided_picture)
            overlays.append(Overlay(item.title, item.note, Drawing.of_picture(picture), guided, item.mask))
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
        overlays = []
        for item, target in zip(result.explanations, _asked(wish, len(result.explanations)), strict=True):
            title = title_of(item.target, item.contrast, negative=target.negative)
            guided = None if item.guided_png is None else Drawing.of_png(item.guided_png)
            drawing = Drawing.of_png(item.overlay_png or b"")
            overlays.append(Overlay(title, note_of(item.target, item.statistics), drawing, guided, target.mask))
        return Explained(_pixels(path, wish.window), result.predictions, overlays, result.warnings)

    def close(self) -> None:
        """Closes the connection."""
        self._client.close()


def _asked(wish: Wish, count: int) -> Sequence[Target]:
    """The targets behind the explanations: those that were named, then the best classes."""
    return [*wish.targets, *[Target()] * (count - len(wish.targets))]


def _pixels(source: Path | bytes, window: Window | None = None) -> ByteArray:
    return decode(source, max_pixels=Limits().max_pixels, window=window)
