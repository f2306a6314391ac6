"""Checks gradients against finite differences of the score, in float64."""

from __future__ import annotations

import numpy as np

from camgraph.v1 import manifest_pb2 as pb
from camgraph_exporter.certificate.layer_to_score import LayerToScore, Scores, layer_to_score
from camgraph_exporter.certificate.measures import slope_errors
from camgraph_exporter.certificate.outcome import make_check
from camgraph_exporter.certificate.subject import Subject
from camgraph_exporter.certificate.telling import draw_telling

NAME = "gradient-finite-differences"
TOLERANCE = 1e-5
# Relative to the size of the activations. A kink between two evaluations spoils a difference; a smaller step misses it,
# while a wrong gradient stays wrong at every step.
STEPS = (1e-6, 1e-7, 1e-8, 1e-9)
_MIXTURES = 2
# Rounding errors of a difference, times the inverse of the tolerance.
_NOISE = 1e6


def gradients_right(subject: Subject) -> pb.Check:
    """(b) The channel weights are the derivative of the score, by float64 differences of the part after each layer.

    Directions are random mixtures of channels, single channels, and with full gradients also random elements.
    Differences of a quantised model are those of its surrogate, which does not round.
    """
    telling = draw_telling(subject, NAME, subject.smallest_batch, 2)
    errors: dict[str, float] = {}
    for layer in subject.layers:
        rng = subject.samples(f"{NAME}/{layer.name}").rng
        # A comparison of zeros would pass, and prove nothing.
        silent = layer.name in telling.silent
        errors[layer.name] = (
            np.inf if silent else _worst_slope(layer, layer_to_score(subject, layer, telling, rng), rng)
        )
    return make_check(
        NAME,
        "Largest relative difference between slopes by the exported weights and by central differences in float64.",
        errors,
        TOLERANCE,
    )


def _worst_slope(layer: pb.Layer, part: LayerToScore, rng: np.random.Generator) -> float:
    base, weights = part.base, part.exact[layer.weights_tensor]
    places = float(np.prod(base.shape[2:]))
    errors = []
    cells = [1] * (base.ndim - 2)
    for mixture in _channel_directions(rng, weights):
        direction = np.broadcast_to(mixture.reshape(1, -1, *cells), base.shape)
        typical = np.linalg.norm(weights, axis=2) * places * np.linalg.norm(mixture)
        errors.append(_slope_error(part, direction, weights @ mixture * places, typical))
    if layer.gradients_tensor:
        full = part.exact[layer.gradients_tensor]
        direction = rng.standard_normal(base.shape)
        rest = tuple(range(2, full.ndim))
        got, typical = (full * direction[:, None]).sum(axis=rest), np.sqrt((full**2).sum(axis=rest))
        errors.append(_slope_error(part, direction, got, typical))
    return max(errors)


def _slope_error(part: LayerToScore, direction: np.ndarray, got: np.ndarray, typical: np.ndarray) -> float:
    """Return the largest error of the slopes `got` [N, T], each against the best of a few central differences."""
    scale = float(np.sqrt(np.mean(part.base**2))) or 1.0
    best = np.full(got.shape, np.inf)
    for step in STEPS:
        expected, noise = _slope(part.scores, part.base, direction, step * scale)
        best = np.minimum(best, slope_errors(got, expected, np.maximum(typical, noise)))
        if best.max() <= TOLERANCE:
            break
    return float(best.max())


def _channel_directions(rng: np.random.Generator, weights: np.ndarray) -> list[np.ndarray]:
    """Return random mixtures of channels, and single channels: the strongest and a random one."""
    count = weights.shape[2]
    strongest = int(np.abs(weights).max(axis=(0, 1)).argmax())
    singles = [np.eye(count)[k] for k in (strongest, int(rng.integers(count)))]
    return [rng.standard_normal(count) for _ in range(_MIXTURES)] + singles


def _slope(scores: Scores, base: np.ndarray, direction: np.ndarray, step: float) -> tuple[np.ndarray, float]:
    """Differentiate the scores [N, T] along a direction by central differences.

    Their error is of second order in the step, which is small enough for that not to show in float64. The second number
    is the size below which a slope is lost in the rounding of the scores.
    """
    up, down = (scores(base + sign * step * direction) for sign in (1, -1))
    noise = _NOISE * float(np.finfo(np.float64).eps * np.abs(up).max(initial=0.0) / step)
    return np.asarray((up - down) / (2 * step)), noise
