"""Masks of a segmentation: from the photo's frame onto the grid of pixels that the model scores."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator

import numpy as np

from camgraph.v1.manifest_pb2 import Manifest
from camgraph_core.errors import InferenceError, InvalidInputError
from camgraph_core.frame import Frame
from camgraph_core.types import AnyArray, ByteArray
from camgraph_runtime.maps.placement import Placement
from camgraph_runtime.preprocess.layout import spatial_size
from camgraph_runtime.run.engine import Engine

Size = tuple[int, int]

# Input pixels a cell of the score map, the usual first; tried where the graph leaves the map's size open.
_STRIDES = (1, 4, 8, 2, 16, 32)
_MOST_SIZES = 1000  # of inputs, remembered


class ScoreMap:
    """The grid of scores of a segmentation graph; safe to use from several threads."""

    def __init__(self, engine: Engine, manifest: Manifest) -> None:
        self._engine = engine
        self._manifest = manifest
        self._sizes: dict[tuple[int, ...], Size] = {}
        self._lock = threading.Lock()

    def size(self, tensor: AnyArray, run: Callable[[ByteArray], object]) -> Size:
        """Height and width of the score map for an input tensor [1, ...].

        A graph for any size of input does not say how large its map is; then it is run to find out, once for
        each size of input.

        Args:
            tensor: The network's input.
            run: Runs the graph on the tensor with one target and a mask [1, 1, h, w]; raises if it does not
                fit.

        Raises:
            InferenceError: No size fits.

        """
        height, width = self._axes
        if isinstance(height, int) and isinstance(width, int):
            return height, width
        with self._lock:
            if tensor.shape not in self._sizes:
                if len(self._sizes) >= _MOST_SIZES:
                    self._sizes.clear()
                self._sizes[tensor.shape] = self._try(tensor, run)
            return self._sizes[tensor.shape]

    def _try(self, tensor: AnyArray, run: Callable[[ByteArray], object]) -> Size:
        problem: Exception | None = None
        for size in self._candidates(tensor):
            try:
                run(np.zeros((1, 1, *size), np.uint8))
            except (InferenceError, InvalidInputError) as error:
                problem = error
            else:
                return size
        raise InferenceError(
            f"The size of {self._engine.name}'s score map could not be found for an input of "
            f"{list(tensor.shape)}. Export the model with a fixed --input-size. (The last trial: {problem})"
        ) from problem

    def _candidates(self, tensor: AnyArray) -> Iterator[Size]:
        """Sizes by the strides of layers of the same symbolic size, then by the usual ones; rounded both ways."""
        height, width = spatial_size(tensor, self._manifest.input.layout)
        for down, across in dict.fromkeys([*self._layer_strides(), *((s, s) for s in _STRIDES)]):
            for rounding in (math.ceil, math.floor):
                yield max(1, rounding(height / down)), max(1, rounding(width / across))

    def _layer_strides(self) -> Iterator[tuple[float, float]]:
        for layer in self._manifest.layers:
            axes = self._engine.outputs[layer.activations_tensor].shape[2:]
            if axes == self._axes and layer.stride_height > 0 and layer.stride_width > 0:
                yield layer.stride_height, layer.stride_width

    @property
    def _axes(self) -> tuple[int | str | None, ...]:
        return self._engine.inputs[self._manifest.target.mask_input].shape[2:]


def lay_mask(mask: ByteArray, frame: Frame, placement: Placement) -> ByteArray:
    """A mask on the score map: uint8 [h, w] of zeros and ones, by nearest neighbour.

    Args:
        mask: uint8 [H, W] in the photo's frame, or of the score map's own size.
        frame: Where the photo lies in the network's input.
        placement: Where the score map lies on the network's input.

    Raises:
        InvalidInputError: The mask has another size, or nothing of it lies on the map.

    """
    size = placement.rows.cells, placement.columns.cells
    if mask.shape == frame.photo_size:
        laid = _at_centres(mask, frame, placement)
    elif mask.shape == size:
        laid = mask
    else:
        raise InvalidInputError(
            f"The mask is {_text(mask.shape)}, but the image is {_text(frame.photo_size)} and the score map "
            f"{_text(size)} (width x height); give the mask one of these sizes."
        )
    if mask.any() and not laid.any():
        raise InvalidInputError(
            "The mask covers no pixel of the score map: what it marks was cropped away, or is smaller than a "
            "pixel of the map. Mark a larger place in the middle of the photo."
        )
    return np.ascontiguousarray(laid != 0).astype(np.uint8)


def _at_centres(mask: ByteArray, frame: Frame, placement: Placement) -> ByteArray:
    rows, columns = placement.rows.centres(), placement.columns.centres()
    return frame.nearest(mask, columns, rows).T if placement.transposed else frame.nearest(mask, rows, columns)


def _text(size: tuple[int, ...]) -> str:
    return f"{size[1]} x {size[0]}"
