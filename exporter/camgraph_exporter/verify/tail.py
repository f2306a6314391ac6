"""The part of a graph behind a layer, at the point where exported derivatives meet differences of the score."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np

from camgraph.v1 import manifest_pb2 as pb
from camgraph_exporter.verify.samples import Arrays, Samples
from camgraph_exporter.verify.straight_through import StraightThrough
from camgraph_exporter.verify.subject import Subject

# From activations [N, K, h, w] to scores [N, T].
Scores = Callable[[np.ndarray], np.ndarray]

_of_subject: WeakKeyDictionary[Subject, dict[str, StraightThrough]] = WeakKeyDictionary()


@dataclass(frozen=True)
class Tail:
    """`base`: activations [N, K, h, w]. `exact`: outputs there. `scores`: the score near there. In float64."""

    base: np.ndarray
    exact: Arrays
    scores: Scores


def tail_of(subject: Subject, layer: pb.Layer, names: Sequence[str], samples: Samples) -> Tail:
    """Return the tail behind a layer at the activations of a random image, with the named outputs."""
    if is_quantised(subject):
        return _held_tail(subject, layer, names)
    return _smooth_tail(subject, layer, names, samples)


def is_quantised(subject: Subject) -> bool:
    """Tell whether gradients of the graph are those of straight-through estimation."""
    return subject.manifest.gradient_rule == pb.GRADIENT_RULE_STRAIGHT_THROUGH


def straight_through(subject: Subject, layer: pb.Layer) -> StraightThrough:
    """Return the comparison of a quantised graph with its surrogate at one layer; it is made once."""
    made = _of_subject.setdefault(subject, {})
    if layer.name not in made:
        made[layer.name] = StraightThrough(subject, layer)
    return made[layer.name]


def _smooth_tail(subject: Subject, layer: pb.Layer, names: Sequence[str], samples: Samples) -> Tail:
    """The graph itself.

    The base is a little off the real activations: exact zeros behind a ReLU tie in a following max-pooling.
    """
    feeds = samples.feeds(subject.smallest_batch, 2)
    found = subject.engine.run(feeds)
    real = found[layer.activations_tensor].astype(np.float64)
    scale = float(np.sqrt(np.mean(real**2))) or 1.0
    base = real + 1e-3 * scale * np.abs(samples.rng.standard_normal(real.shape))
    feeds = subject.resolved(feeds, found)
    at_layer = subject.at_layer(layer, feeds)

    def evaluate(outputs: Sequence[str], activations: np.ndarray) -> list[np.ndarray]:
        return subject.evaluator.run(outputs, {**feeds, layer.name: at_layer(activations)})

    def scores(activations: np.ndarray) -> np.ndarray:
        name = subject.manifest.target.target_score_output
        return np.asarray(evaluate([name], activations)[0], dtype=np.float64)

    return Tail(base, dict(zip(names, evaluate(names, base), strict=True)), scores)


def _held_tail(subject: Subject, layer: pb.Layer, names: Sequence[str]) -> Tail:
    """The surrogate, at the integers of a deployed run."""
    held = straight_through(subject, layer)
    return Tail(held.base, held.outputs(names, activations=held.base), held.scores)
