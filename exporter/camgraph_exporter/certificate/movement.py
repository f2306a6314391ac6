"""How the cells of a map move when patches of the image change, and where the movement of each patch has its centre."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Movement:
    """For each of P patches the shares [P, *cells] of all movement that fall on each cell; zeros if nothing moves."""

    shares: np.ndarray

    @classmethod
    def between(cls, before: np.ndarray, after: np.ndarray, *, rounding: float) -> Movement:
        """Compare activations [P, K, *cells] of changed images with those of the image itself, [1, K, *cells].

        A cell's movement is the Euclidean length of its change. What is below `rounding` times the root mean square of
        a cell's own length does not count.
        """
        lengths = np.linalg.norm(after.astype(np.float64) - before, axis=1)
        usual = np.sqrt(np.mean(np.sum(before.astype(np.float64) ** 2, axis=1)))
        return cls(_normalised(np.where(lengths > rounding * usual, lengths, 0.0)))

    def add(self, other: Movement) -> Movement:
        """Return the movement of two images together."""
        return Movement(_normalised(self.shares + other.shares))

    @property
    def moves(self) -> np.ndarray:
        """Whether a patch moves any cell, bool [P]."""
        return np.asarray(self.shares.any(axis=tuple(range(1, self.shares.ndim))))

    @property
    def association(self) -> float:
        """How far the patch decides which cells move: 0 if all patches move the same cells, 1 if each moves others.

        It is the square of Cramer's V, the chi-square statistic of patches and cells over the largest that it can be.
        """
        patches = int(self.moves.sum())
        usual, excess = self._usual_and_excess()
        return float(np.sum(excess**2 / _nonzero(usual)) / patches / (patches - 1)) if patches > 1 else 0.0

    def centres(self) -> tuple[np.ndarray, np.ndarray]:
        """Return for each patch the centre of its movement and its spread (root mean square), each [P, axes] in cells.

        Squeeze-and-excitation, attention and large receptive fields move every cell a little, and some cells move
        however the image changes. So a cell counts by what it moves more than it usually does: by its part of the
        chi-square statistic.
        """
        usual, excess = self._usual_and_excess()
        weights = _normalised(np.maximum(excess, 0) ** 2 / _nonzero(usual))
        centres, spreads = [], []
        for axis in range(1, weights.ndim):
            places = np.arange(weights.shape[axis])
            along = weights.sum(axis=tuple(other for other in range(1, weights.ndim) if other != axis))
            centre = along @ places
            centres.append(centre)
            spreads.append(np.sqrt(np.sum(along * (places - centre[:, None]) ** 2, axis=1)))
        return np.stack(centres, axis=1), np.stack(spreads, axis=1)

    def _usual_and_excess(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the mean share of each cell over the patches that move any, and what each patch adds to it."""
        moves = self.moves
        usual = self.shares[moves].sum(axis=0) / max(int(moves.sum()), 1)
        return usual, np.where(_wide(moves, self.shares), self.shares - usual, 0.0)


def _normalised(values: np.ndarray) -> np.ndarray:
    """Divide [P, *cells] by the sum for each patch, where there is one."""
    return np.asarray(values / _wide(_nonzero(values.reshape(len(values), -1).sum(axis=1)), values))


def _wide(rows: np.ndarray, like: np.ndarray) -> np.ndarray:
    """Give one number per patch, [P], as many axes as `like` has."""
    return np.asarray(rows.reshape(-1, *[1] * (like.ndim - 1)))


def _nonzero(values: np.ndarray) -> np.ndarray:
    return np.where(values > 0, values, 1.0)
