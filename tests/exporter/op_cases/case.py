"""One row of the table of operator cases, and the ways to draw inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Draw = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]


def normal(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Standard normal."""
    return rng.standard_normal(shape)


def positive(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Between 0.5 and 2."""
    return rng.uniform(0.5, 2.0, shape)


def between(low: float, high: float) -> Draw:
    """Uniform between two numbers."""
    return lambda rng, shape: rng.uniform(low, high, shape)


def avoiding(*kinks: float, gap: float = 0.02) -> Draw:
    """Normal with standard deviation 2, kept away from points where the operator has no derivative."""

    def draw(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        x = 2 * rng.standard_normal(shape)
        for kink in kinks:
            near = np.abs(x - kink) < gap
            x = np.where(near, kink + np.where(x >= kink, gap, -gap) * 2, x)
        return x

    return draw


def distinct(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """All elements differ by at least 0.01, so that a maximum stays the maximum."""
    count = int(np.prod(shape))
    return (rng.permutation(count).reshape(shape) - count / 2) * 0.01


@dataclass(frozen=True)
class Input:
    """An input that the gradient is taken of. A first size of "N" is the batch."""

    shape: Sequence[int | str]
    draw: Draw = normal

    def sample(self, rng: np.random.Generator, batch: int) -> np.ndarray:
        """Draw the input for a batch size."""
        return self.draw(rng, tuple(batch if size == "N" else int(size) for size in self.shape))


@dataclass(frozen=True)
class Fed:
    """An input that is fed at run time and not differentiated: indices, bounds or sizes that the graph computes.

    `values` makes it from the batch size and from how much larger than their row the dynamic sizes are.
    """

    values: Callable[[int, int], np.ndarray]


def fed(array: np.ndarray) -> Fed:
    """The same values in every run, but not known at export time."""
    return Fed(lambda *_: array)


@dataclass(frozen=True, eq=False)
class OpCase:
    """One node: `inputs` in order; an Input is differentiated, an array is a constant, None is left out.

    A Fed input is known at run time only. `outputs` counts the node's outputs; `used` are those that the score
    depends on. `dynamic`: the spatial sizes are symbols at export time too.
    """

    id: str
    op_type: str
    inputs: Sequence[Input | Fed | np.ndarray | None]
    attributes: dict[str, Any] = field(default_factory=dict)
    opset: int = 17
    outputs: int = 1
    used: Sequence[int] = (0,)
    domain: str = ""
    tolerance: float = 1e-6
    float32_tolerance: float = 2e-5
    dynamic: bool = False
    # Set where onnxruntime has no CPU kernel for the forward node, with the reason.
    without_onnxruntime: str = ""

    def __str__(self) -> str:
        return self.id
