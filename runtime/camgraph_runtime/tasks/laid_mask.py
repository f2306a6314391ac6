"""Masks of a segmentation: from the photo's frame onto the score map."""

from __future__ import annotations

import numpy as np

from camgraph_core.errors import InvalidInputError
from camgraph_core.frame import Frame
from camgraph_core.types import ByteArray
from camgraph_runtime.maps.placement import Placement


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
