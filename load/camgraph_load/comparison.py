"""Two runs side by side, with intervals of confidence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from camgraph_core.errors import UsageError
from camgraph_load.records import OK, Records

_DRAWS = 2000
_BLOCK = 1.0  # seconds: calls near each other in time share their fate, so whole blocks are drawn
_FEWEST_BLOCKS = 5
_LEVEL = (2.5, 97.5)


@dataclass(frozen=True)
class Ratio:
    """A figure of the second run over that of the first.

    Attributes:
        name: The figure.
        first: Its value in the first run.
        second: Its value in the second run.
        ratio: second / first.
        low: Lower end of the interval that holds the ratio with 95 % confidence.
        high: Upper end.

    """

    name: str
    first: float
    second: float
    ratio: float
    low: float
    high: float

    @property
    def differs(self) -> bool:
        """Whether 1, no difference, lies outside the interval."""
        return not self.low <= 1.0 <= self.high


Figure = Callable[[Records, float], float]


def _goodput(records: Records, seconds: float) -> float:
    return float(((records["code"] == OK) & ~records["wrong"]).sum() / seconds)


def _percentile(percent: float) -> Figure:
    def of(records: Records, _: float) -> float:
        fine = records[records["code"] == OK]
        return float(np.percentile(fine["done"] - fine["due"], percent) * 1e3) if len(fine) else float("nan")

    return of


FIGURES: dict[str, Figure] = {
    "good answers/s": _goodput,
    "latency p50, ms": _percentile(50),
    "latency p99, ms": _percentile(99),
}


def compare(first: Records, second: Records, seed: int = 0, draws: int = _DRAWS) -> list[Ratio]:
    """The figures of two runs and their ratios, by a bootstrap over blocks of a second (Künsch 1989).

    Intervals of short runs are a little narrow: of 30 pairs of equal runs of 20 s, 25 to 28 held 1.

    Raises:
        UsageError: A run is too short to say how much it varies.

    """
    generator = np.random.default_rng(seed)
    drawn = [_resampled(records, generator, draws) for records in (first, second)]
    whole = [
        ({name: figure(records, _length(records)) for name, figure in FIGURES.items()}) for records in (first, second)
    ]
    ratios = []
    for name in FIGURES:
        spread = np.array(drawn[1][name]) / np.array(drawn[0][name])
        low, high = np.nanpercentile(spread, _LEVEL)
        ratios.append(
            Ratio(name, whole[0][name], whole[1][name], whole[1][name] / whole[0][name], float(low), float(high))
        )
    return ratios


def _length(records: Records) -> float:
    return float(np.ceil(records["due"].max() / _BLOCK) * _BLOCK)


def _resampled(records: Records, generator: np.random.Generator, draws: int) -> dict[str, list[float]]:
    blocks = _blocks(records)
    values: dict[str, list[float]] = {name: [] for name in FIGURES}
    for _ in range(draws):
        chosen = generator.integers(0, len(blocks), len(blocks))
        sample = records[np.concatenate([blocks[index] for index in chosen])]
        for name, figure in FIGURES.items():
            values[name].append(figure(sample, len(blocks) * _BLOCK))
    return values


def _blocks(records: Records) -> list[NDArray[np.intp]]:
    """Rows by the second in which they were due."""
    number = (records["due"] / _BLOCK).astype(np.int64)
    blocks = [np.flatnonzero(number == block) for block in range(int(number.max(initial=-1)) + 1)]
    if len(blocks) < _FEWEST_BLOCKS:
        raise UsageError(f"A run of {len(blocks)} s is too short to compare. Let both run {_FEWEST_BLOCKS} s or more.")
    return blocks
