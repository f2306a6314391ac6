"""The explanation of one target, from which its maps and pictures are made when they are asked for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from camgraph_core.frame import Frame, fitted, of_shrunk_photo
from camgraph_core.guided_picture import guided_picture
from camgraph_core.laid import LaidMap
from camgraph_core.result import ClassScore, note_of, title_of
from camgraph_core.statistics import MapStatistics
from camgraph_core.tiles import TiledMap
from camgraph_core.types import ByteArray, FloatArray


@dataclass(frozen=True, eq=False)
class Explanation:
    """The explanation of one target.

    Attributes:
        target: The class that the target resolved to.
        contrast: The class that it was held against, if any.
        negative: The map shows what speaks against the class.
        input_heatmap: float32 [h_in, w_in] in 0..1, in the frame of the network's input. With the profile "raw": the
            signed map [h, w].
        frame: Where the photo (or the tensor that was given) lies in the network's input.
        in_input_frame: False with the profile "raw", whose map has the layer's own cells.
        raw_maps: The signed map [h, w] of each layer, before ReLU and scaling.
        weights: Mean gradient alpha [K] of each layer; contrast and sign are worked in.
        activations: A [K, h, w] of each layer.
        statistics: Statistics of the raw maps.
        layers: Names of the layers.
        method: Name of the method.
        mask: The target's mask, uint8 [H, W], as it was given; None without one.
        guided: Guided Grad-CAM, float32 [h_in, w_in, 3], signed, RGB, in the frame of the network's input;
            None with other methods.

    """

    target: ClassScore
    contrast: ClassScore | None
    negative: bool
    input_heatmap: FloatArray
    frame: Frame
    in_input_frame: bool
    raw_maps: tuple[FloatArray, ...]
    weights: tuple[FloatArray, ...]
    activations: tuple[FloatArray, ...]
    statistics: MapStatistics
    layers: tuple[str, ...]
    method: str
    mask: ByteArray | None = None
    guided: FloatArray | None = None

    @cached_property
    def heatmap(self) -> FloatArray:
        """float32 [H, W] in 0..1 in the frame of the photo, or of the input where a tensor was given.

        It is 0 where the network did not look. With the profile "raw" it is the signed map [h, w].
        It is computed when it is asked for, and kept.
        """
        tiled = self.tiled_heatmap()
        return tiled.whole() if isinstance(tiled, LaidMap) else self.input_heatmap

    def tiled_heatmap(self, size: tuple[int, int] | None = None) -> TiledMap:
        """The heatmap for `camgraph_runtime.pictures.overlay`, without an array of the photo's size.

        Args:
            size: Height and width of the photo, if it was shrunk; the map is computed at that size.

        """
        return LaidMap(self.input_heatmap, self._frame(size)) if self.in_input_frame else self.input_heatmap

    def heatmap_within(self, max_side: int) -> FloatArray:
        """The heatmap of the photo as if it had been shrunk to a longest side of ``max_side`` pixels: float32 [h, w].

        It is computed at that size, and not kept. Nothing is enlarged, and a raw map stays as it is.

        Raises:
            UsageError: The side is smaller than one pixel.

        """
        tiled = self.tiled_heatmap(fitted(self.frame.photo_size, max_side))
        return tiled.whole() if isinstance(tiled, LaidMap) else self.input_heatmap

    @cached_property
    def guided_picture(self) -> ByteArray | None:
        """Guided Grad-CAM as a picture, uint8 [H, W, 3] RGB, in the frame of ``heatmap``; None with other methods.

        It is computed when it is asked for, and kept; see `camgraph_runtime.maps.guided.guided_picture`.
        """
        return self.draw_guided()

    def draw_guided(self, size: tuple[int, int] | None = None) -> ByteArray | None:
        """The guided picture, not kept, with the size as for `tiled_heatmap`."""
        return None if self.guided is None else guided_picture(self.guided, self._frame(size))

    def _frame(self, size: tuple[int, int] | None) -> Frame:
        return self.frame if size is None else of_shrunk_photo(self.frame, size)

    @property
    def raw_map(self) -> FloatArray:
        """The raw map [h, w] of the first layer."""
        return self.raw_maps[0]

    @property
    def title(self) -> str:
        """The target in words, see `title_of`."""
        return title_of(self.target, self.contrast, negative=self.negative)

    @property
    def note(self) -> str:
        """Its numbers in words, see `note_of`."""
        return note_of(self.target, self.statistics)
