"""Draws inputs that a check of gradients can tell something by: those at which the gradients are not zero.

A comparison of zeros always agrees. So whatever compares gradients draws again until every layer has a target whose
weights are not zero: other images, more targets, and at last white noise. A layer that stays silent fails the
certificate.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from camgraph_exporter.certificate.subject import Subject
from camgraph_exporter.targets.draw import Arrays

# Targets of each attempt. A box of a detector may depend on one map of several, and a class on a part of the image.
_TARGETS = (4, 16, 64, 64, 64)
# From this attempt on, images are white noise.
_WHITE = 3


@dataclass(frozen=True)
class Telling:
    """Complete inputs, what the deployed graph made of them, and the names of layers whose gradients are all zero."""

    feeds: Arrays
    found: Arrays
    silent: list[str]


def draw_telling(subject: Subject, check: str, count: int, number: int) -> Telling:
    """Draw inputs for `count` images with `number` targets each, at which the layers have gradients.

    The first target is the best class (or box) if any layer has a gradient there.
    """
    samples = subject.samples(check)
    for attempt, targets in enumerate(_TARGETS):
        feeds = samples.feeds(count, max(targets, number), smooth=attempt < _WHITE)
        found = subject.engine.run(feeds)
        speaking = {layer.name: _speaking(found[layer.weights_tensor]) for layer in subject.layers}
        silent = [name for name, targets_of in speaking.items() if not targets_of.any()]
        if not silent:
            break
    chosen = _choose(list(speaking.values()), number)
    kept = subject.some_targets(feeds, chosen)
    return Telling(kept, subject.engine.run(kept), silent)


def _speaking(weights: np.ndarray) -> np.ndarray:
    """Return for each target whether weights [N, T, K] are finite and not all zero: bool [T]."""
    finite = np.isfinite(weights).all(axis=(0, 2))
    return np.asarray(finite & (weights != 0).any(axis=(0, 2)))


def _choose(speaking: list[np.ndarray], number: int) -> list[int]:
    """Return `number` targets in their order: for each layer the first that it speaks for, then the first others."""
    first = [int(targets.argmax()) for targets in speaking if targets.any()]
    order = sorted(range(len(speaking[0])), key=lambda t: -sum(bool(targets[t]) for targets in speaking))
    return sorted(list(dict.fromkeys([*first, *order]))[:number])
