"""The part of a graph after a layer, at the point where exported derivatives meet differences of the score."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from camgraph.v1 import manifest_pb2 as pb
from camgraph_exporter.certificate.quantised.comparison import Comparison
from camgraph_exporter.certificate.subject import Subject, gradient_outputs
from camgraph_exporter.certificate.telling import Telling
from camgraph_exporter.targets.draw import Arrays

# From activations [N, K, h, w] to scores [N, T].
Scores = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class LayerToScore:
    """`base`: activations [N, K, h, w]. `exact`: outputs there. `scores`: the score near there. In float64."""

    base: np.ndarray
    exact: Arrays
    scores: Scores


def layer_to_score(subject: Subject, layer: pb.Layer, telling: Telling, rng: np.random.Generator) -> LayerToScore:
    """Return the part after a layer at the activations of some images, with what is exported of its gradient."""
    return _quantised_part(subject, layer) if is_quantised(subject) else _smooth_part(subject, layer, telling, rng)


def is_quantised(subject: Subject) -> bool:
    """Tell whether gradients of the graph are those of straight-through estimation."""
    return subject.manifest.gradient_rule == pb.GRADIENT_RULE_STRAIGHT_THROUGH


def comparison_of(subject: Subject, layer: pb.Layer) -> Comparison:
    """Return the comparison of a quantised graph with its surrogate at one layer; it is made once."""
    return subject.once(("straight-through", layer.name), lambda: Comparison(subject, layer))


def nudged(activations: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return activations in float64 a little beside the real ones: exact zeros after a ReLU tie in a max pooling."""
    real = activations.astype(np.float64)
    scale = float(np.sqrt(np.mean(real**2))) or 1.0
    return np.asarray(real + 1e-3 * scale * np.abs(rng.standard_normal(real.shape)))


def _smooth_part(subject: Subject, layer: pb.Layer, telling: Telling, rng: np.random.Generator) -> LayerToScore:
    """The graph itself, a little beside the real activations."""
    base = nudged(telling.found[layer.activations_tensor], rng)
    feeds = subject.resolved(telling.feeds, telling.found)
    at_layer = subject.at_layer(layer, feeds)

    def evaluate(outputs: Sequence[str], activations: np.ndarray) -> Arrays:
        return subject.run_in_float64({**feeds, layer.name: at_layer(activations)}, outputs)

    def scores(activations: np.ndarray) -> np.ndarray:
        name = subject.manifest.target.target_score_output
        return np.asarray(evaluate([name], activations)[name], dtype=np.float64)

    return LayerToScore(base, evaluate(gradient_outputs(layer), base), scores)


def _quantised_part(subject: Subject, layer: pb.Layer) -> LayerToScore:
    """The surrogate, at the integers of a deployed run."""
    comparison = comparison_of(subject, layer)
    exact = comparison.outputs(gradient_outputs(layer), activations=comparison.base)
    return LayerToScore(comparison.base, exact, comparison.scores)
