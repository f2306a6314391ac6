"""How the values of a file with its own grey scale become 0..255."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from camgraph_core.types import AnyArray, FloatArray
from camgraph_core.windows import Window


@dataclass(frozen=True)
class Grade:
    """How the values of a file with its own grey scale become 0..255.

    Attributes:
        low: Becomes 0.
        high: Becomes 255.
        sigmoid: An S-shaped curve between and beyond these, in place of a line.
        table: Levels 0..255 of the whole numbers from ``low`` on, in place of a line; None without one.
        inverted: Low values are white.
        remark: What the user should know of it; empty if nothing.

    """

    low: float
    high: float
    sigmoid: bool = False
    table: FloatArray | None = field(default=None, compare=False)
    inverted: bool = False
    remark: str = ""

    def within(self, window: Window | None) -> Grade:
        """The grade with a window that the user gave, if there is one; what is white and what is black stays."""
        return self if window is None else Grade(*window, inverted=self.inverted)

    def __call__(self, values: AnyArray) -> FloatArray:
        """The values on the scale 0..255, float32 of the same shape."""
        levels = self._levels(values)
        return np.subtract(255, levels, out=levels) if self.inverted else levels

    def mirrored(self, values: AnyArray) -> AnyArray:
        """Values of a file in which low ones are white, turned round within ``low`` to ``high``."""
        return self.low + self.high - values.astype(np.float32) if self.inverted else values

    def _levels(self, values: AnyArray) -> FloatArray:
        if self.table is not None:
            return self.table[np.clip(values.astype(np.float64) - self.low, 0, len(self.table) - 1).astype(np.intp)]
        scaled: NDArray[np.floating[Any]] = values.astype(np.float32 if values.dtype.itemsize <= 2 else np.float64)
        scaled -= self.low
        scaled *= 1 / (self.high - self.low)
        if self.sigmoid:
            np.subtract(0.5, scaled, out=scaled)
            scaled *= 4
            np.exp(np.clip(scaled, -80, 80, out=scaled), out=scaled)
            scaled = 1 / (1 + scaled)
        return (np.clip(scaled, 0, 1, out=scaled) * 255).astype(np.float32)
