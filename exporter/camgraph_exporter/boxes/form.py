"""How the four numbers of a box read, and how that shows in the boxes of random images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

YOLOX = "yolox"
# Left, top, right and bottom as linear functions of the four numbers: row i holds the share of number i in each.
_CORNERS = {
    "xyxy": ((1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1)),
    "yxyx": ((0, 1, 0, 0), (1, 0, 0, 0), (0, 0, 0, 1), (0, 0, 1, 0)),
    "xywh": ((1, 0, 1, 0), (0, 1, 0, 1), (0, 0, 1, 0), (0, 0, 0, 1)),
    "cxcywh": ((1, 0, 1, 0), (0, 1, 0, 1), (-0.5, 0, 0.5, 0), (0, -0.5, 0, 0.5)),
    YOLOX: ((1, 0, 1, 0), (0, 1, 0, 1), (-0.5, 0, 0.5, 0), (0, -0.5, 0, 0.5)),  # once decoded by `cells.py`
}
FORMATS = tuple(_CORNERS)
UNITS = ("pixels", "normalised")

_MOST = 0.98  # share of random boxes that must look as a format says
_LARGEST_SHARE = 2.0  # boxes may reach over the image's edge


@dataclass(frozen=True)
class BoxForm:
    """What the four numbers are (one of `FORMATS`), and whether they are shares of the input's width and height."""

    format: str
    is_normalised: bool

    def corners(self) -> np.ndarray:
        """Return the matrix [4, 4] that makes left, top, right and bottom of the four numbers: box @ matrix."""
        return np.array(_CORNERS[self.format], np.float32)


def recognise(boxes: np.ndarray, stated_format: str | None, stated_unit: str | None) -> BoxForm | None:
    """Tell how the boxes [images, boxes, 4] of random images read, where the user does not say; None if as nothing.

    Offsets that are still to be decoded look like no box: many of their widths are negative, whichever way they are
    read.
    """
    numbers = boxes.reshape(-1, 4).astype(np.float64)
    form = stated_format or _format_of(numbers, boxes)
    if form is None or not np.isfinite(numbers).all():
        return None
    normalised = bool(np.quantile(np.abs(numbers), 0.9) <= _LARGEST_SHARE)
    return BoxForm(form, normalised if stated_unit is None else stated_unit == "normalised")


def _format_of(numbers: np.ndarray, boxes: np.ndarray) -> str | None:
    is_corner = (numbers[:, 2] >= numbers[:, 0]) & (numbers[:, 3] >= numbers[:, 1])
    has_size = (numbers[:, 2] > 0) & (numbers[:, 3] > 0)
    if is_corner.mean() >= _MOST and np.ptp(numbers, axis=0).max() > 0:
        return "yxyx" if _is_down_first(boxes) else "xyxy"
    return "cxcywh" if has_size.mean() >= _MOST else None


def _is_down_first(boxes: np.ndarray) -> bool:
    """Tell whether the first number is one down the image: in rows of cells it changes the least from box to box."""
    centres = (boxes[..., :2] + boxes[..., 2:]).astype(np.float64)
    steps = np.abs(np.diff(centres, axis=1)).mean(axis=(0, 1)) if boxes.shape[1] > 1 else np.ones(2)
    return bool(steps[1] > 1.5 * steps[0])
