"""What a raw map says about itself, so that an empty heatmap is told apart from a broken one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from camgraph_core.types import FloatArray

_NOT_REACHED = (
    "The score does not depend on the layer, so the heatmap is empty whatever the image shows. Take another layer; "
    "`camgraph inspect` says how many boxes of a detector depend on each."
)


@dataclass(frozen=True)
class MapStatistics:
    """Statistics of the signed map before ReLU, over all cells of all layers that went into it.

    Values are in units of score times activation. With cells that are not finite, the numbers are those of
    the finite cells (0 if there are none).

    Attributes:
        minimum: Smallest value.
        maximum: Largest value.
        mean: Mean value.
        positive_share: Share of cells greater than zero, 0..1.
        all_nonpositive: No cell is positive: nothing in the image speaks for the class, the heatmap is all
            zero.
        constant: Each layer's cells all have one value: the heatmap is all zero, whatever that value is.
        nonfinite: A cell is infinite or not a number: the heatmap must not be trusted.
        no_gradient: The score has no gradient at any of the layers: it does not depend on them, so that the map is
            empty whatever the image shows.

    """

    minimum: float
    maximum: float
    mean: float
    positive_share: float
    all_nonpositive: bool
    constant: bool
    nonfinite: bool
    no_gradient: bool = False

    @classmethod
    def of(cls, *maps: FloatArray, no_gradient: bool = False) -> Self:
        """Statistics of the raw maps [h, w] of one explanation, one map per layer."""
        cells = np.concatenate([raw.ravel() for raw in maps])
        finite = cells[np.isfinite(cells)]
        nonfinite = finite.size < cells.size
        if finite.size == 0:
            return cls(
                0.0, 0.0, 0.0, 0.0, all_nonpositive=False, constant=False, nonfinite=nonfinite, no_gradient=no_gradient
            )
        minimum, maximum = float(finite.min()), float(finite.max())
        is_constant = minimum == maximum if len(maps) == 1 else all(raw.min() == raw.max() for raw in maps)
        return cls(
            minimum=minimum,
            maximum=maximum,
            mean=float(finite.mean(dtype=np.float64)),
            positive_share=float(np.count_nonzero(finite > 0) / finite.size),
            all_nonpositive=not nonfinite and maximum <= 0,
            constant=not nonfinite and is_constant,
            nonfinite=nonfinite,
            no_gradient=no_gradient,
        )

    def warnings(self) -> list[str]:
        """One sentence for each flag that a user should know of."""
        if self.nonfinite:
            return ["The map has values that are not finite; do not trust this heatmap."]
        if self.no_gradient:
            return [_NOT_REACHED]
        if self.all_nonpositive:
            return ["No cell of the map is positive: nothing in the image speaks for it, the heatmap is empty."]
        if self.constant:
            return ["All cells of the map are equal: no place matters more than another, the heatmap is empty."]
        return []
