"""Finds the class of a detector that stands for "no object"."""

from __future__ import annotations

import numpy as np

_MOST = 0.8  # of all boxes' probability on random images, which hold no object


def background_of(scores: np.ndarray) -> tuple[int | None, str]:
    """Return the background among the classes of a softmax, and a note; None where no class looks like it.

    Each box of such a detector must have a class, so that there is one for boxes without an object, the first or the
    last. On random images it takes nearly all.

    Args:
        scores: Scores before the softmax of random images, [images, boxes, C].

    """
    powers = np.exp(scores.astype(np.float64) - scores.max(axis=2, keepdims=True))
    share = (powers / powers.sum(axis=2, keepdims=True)).mean(axis=(0, 1))
    best = int(share.argmax())
    if best in (0, len(share) - 1) and len(share) > 1 and share[best] >= _MOST:
        return best, (
            f"Class {best} is taken for the background, as it has {share[best]:.0%} of the boxes of random images: no "
            "object of it is listed. Say otherwise with --background."
        )
    return None, (
        "No class of the softmax stands out as the background, so boxes of all classes are listed. Name it with "
        "--background if there is one."
    )
