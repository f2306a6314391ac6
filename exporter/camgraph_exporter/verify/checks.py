"""The checks of a certificate: each says what was compared, how far off it was, how far is allowed, and where."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from camgraph.v1 import manifest_pb2 as pb
from camgraph_exporter.verify.forward_values import run_with_forward_values
from camgraph_exporter.verify.operators import operators_portable, operators_standard
from camgraph_exporter.verify.outcome import make_check
from camgraph_exporter.verify.registration import layer_registered
from camgraph_exporter.verify.samples import Arrays
from camgraph_exporter.verify.subject import Subject
from camgraph_exporter.verify.tail import Scores, is_quantised, straight_through, tail_of
from camgraph_exporter.verify.tolerance import half_types, output_tolerance

_OUTPUT_TOLERANCE = 1e-6
# However much a model loses to fusion, a larger change than this is no rounding.
_FUSION_TOLERANCE = 1e-4
_GRADIENT_TOLERANCE = 1e-4
_FLOAT32_TOLERANCE = 1e-2
_BATCH_TOLERANCE = 1e-3
_INTEGER_TOLERANCE = 0.5
_DIRECTIONS = 2
# Images of a batch that are also run alone.
_SINGLES = 3
# Rounding errors of a difference, times the inverse of the tolerance.
_NOISE = 1e6
# Relative to the size of the activations. A kink between two evaluations spoils a difference; a smaller step misses it,
# while a wrong gradient stays wrong at every step.
_STEPS = (1e-6, 1e-7, 1e-8, 1e-9)


def outputs_unchanged(subject: Subject) -> pb.Check:
    """(a) The trained model's outputs are what they were, in the same runtime with the same options."""
    feeds = subject.samples("source-outputs").feeds(subject.batch, 2)
    before = subject.run_source(feeds[subject.image_name])
    after = subject.engine.run(feeds)
    errors = {name: _relative_to_largest(after[name], array) for name, array in before.items()}
    tolerance = output_tolerance(subject.model)
    if max(errors.values()) > tolerance:
        # Further readers keep onnxruntime from some fusions; some models lose more than that to all of its fusions.
        plain = subject.run_source_unoptimised(feeds[subject.image_name])
        fusion = max(_relative_to_largest(plain[name], array) for name, array in before.items())
        tolerance = max(tolerance, min(fusion, _FUSION_TOLERANCE))
    return make_check(
        "source-outputs",
        "Largest change of a source output, relative to its largest element; allowed is what onnxruntime's own "
        "optimisation changes, if that is more than rounding, up to 1e-4.",
        errors,
        tolerance,
    )


def gradients_right(subject: Subject) -> pb.Check:
    """(b) The channel weights are the derivative of the score, by float64 differences of the part behind each layer.

    Directions are random mixtures of channels, single channels, and with full gradients also random elements.
    Differences of a quantised model are those of its surrogate, which does not round.
    """
    errors: dict[str, float] = {}
    for layer in subject.manifest.layers:
        errors[layer.name] = max(_finite_differences(subject, layer))
    return make_check(
        "gradient-finite-differences",
        "Largest relative difference between slopes by the exported weights and by central differences in float64.",
        errors,
        _GRADIENT_TOLERANCE,
    )


def float32_close(subject: Subject) -> pb.Check:
    """(b) The weights that onnxruntime computes in float32 are those of float64, from the same activations.

    Those of half precision are taken from the same forward values, and those of a quantised model from the same
    integers.
    """
    errors = {}
    for layer in subject.manifest.layers:
        errors[layer.name] = relative_l2(*_in_both_precisions(subject, layer))
    return make_check(
        "gradient-float32",
        "Relative L2 distance of float32 weights from float64 weights at the same activations.",
        errors,
        _FLOAT32_TOLERANCE,
    )


def gradients_present(subject: Subject) -> pb.Check:
    """The gradient is finite, and not zero everywhere: a graph whose maps are always empty explains nothing."""
    found = subject.engine.run(subject.samples("gradient-present").feeds(subject.batch, 3))
    errors = {}
    for layer in subject.manifest.layers:
        weights = found[layer.weights_tensor]
        errors[layer.name] = 0.0 if np.isfinite(weights).all() and np.abs(weights).max() > 0 else np.inf
    return make_check(
        "gradient-present",
        "Zero if the weights are finite and not all zero on random images, else infinite.",
        errors,
        0.0,
    )


def batch_consistent(subject: Subject) -> pb.Check:
    """(c) A batch of N equals N batches of one, and T targets equal T runs.

    Where the batch is fixed, an image among others equals the image among copies of itself.
    """
    feeds = subject.samples("batch-and-targets").feeds(subject.batch, 3)
    whole = subject.engine.run(feeds)
    errors: dict[str, float] = {}
    singles = 0 if subject.batch == 1 or subject.rounds_by_batch else min(subject.batch, _SINGLES)
    for n in range(singles):
        single = subject.engine.run(subject.one_image(feeds, n))
        compared = _compared(subject, whole)
        _worst(errors, {name: relative_l2(single[name][:1], whole[name][n : n + 1]) for name in compared})
    for t in range(3):
        one = subject.engine.run(subject.one_target(feeds, t))
        per_target = [layer.weights_tensor for layer in subject.manifest.layers] + [
            subject.manifest.target.target_score_output
        ]
        _worst(errors, {name: relative_l2(one[name], whole[name][:, t : t + 1]) for name in per_target})
    return make_check(
        "batch-and-targets",
        "Relative L2 distance between a batch with three targets and its single runs.",
        errors,
        _BATCH_TOLERANCE,
    )


def integers_stand_for_reals(subject: Subject) -> pb.Check:
    """The integers of a quantised model are those that its surrogate, whose derivative is exported, rounds to."""
    errors = {"graph": 0.0}
    if is_quantised(subject):
        for layer in subject.manifest.layers:
            _worst(errors, straight_through(subject, layer).distance())
    return make_check(
        "quantised-surrogate",
        "Mean distance of an operator's integers from its real form's, in steps; rounding alone makes about 1/4.",
        errors,
        _INTEGER_TOLERANCE,
    )


def switch_works(subject: Subject) -> pb.Check:
    """With the gradients switched off the source's outputs are the same, and there are no targets' weights."""
    errors = {"graph": 0.0}
    switch = subject.manifest.explain_switch
    if switch:
        feeds = subject.samples("switch").feeds(subject.batch, 2)
        on, off = subject.engine.run(feeds), subject.engine.run({**feeds, switch: np.array(False)})
        errors = {
            spec.name: _relative_to_largest(off[spec.name], on[spec.name]) for spec in subject.manifest.source_outputs
        }
        errors |= {layer.weights_tensor: float(off[layer.weights_tensor].size) for layer in subject.manifest.layers}
    return make_check(
        "switch",
        "Change of a source output when the gradients are switched off; weights left over.",
        errors,
        _OUTPUT_TOLERANCE,
    )


ALL: list[Callable[[Subject], pb.Check]] = [
    operators_standard,
    operators_portable,
    outputs_unchanged,
    gradients_present,
    batch_consistent,
    switch_works,
    gradients_right,
    float32_close,
    integers_stand_for_reals,
    layer_registered,
]


def relative_l2(a: np.ndarray, b: np.ndarray) -> float:
    """Return |a - b| / |b|; infinite where an element is not finite."""
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if a.shape != b.shape or not np.isfinite(a).all():
        return float("inf")
    return float(np.linalg.norm(a - b)) / max(float(np.linalg.norm(b)), 1e-30)


def _in_both_precisions(subject: Subject, layer: pb.Layer) -> tuple[np.ndarray, np.ndarray]:
    """Return the weights in float32 and in float64, from the same forward values where rounding could matter."""
    name = layer.weights_tensor
    if is_quantised(subject):
        held = straight_through(subject, layer)
        return held.deployed.found[name], held.outputs([name], activations=held.activations)[name]
    feeds = subject.samples("gradient-float32").feeds(subject.smallest_batch, 2)
    if half_types(subject.model):
        found, values = run_with_forward_values(subject, feeds)
        return found[name], subject.evaluator.run([name], {**feeds, **values})[0]
    found = subject.engine.run(feeds)
    activations = subject.at_layer(layer, feeds)(found[layer.activations_tensor])
    return found[name], subject.evaluator.run([name], {**feeds, layer.name: activations})[0]


def _finite_differences(subject: Subject, layer: pb.Layer) -> list[float]:
    samples = subject.samples("gradient-finite-differences")
    wanted = [layer.weights_tensor] + ([layer.gradients_tensor] if layer.gradients_tensor else [])
    tail = tail_of(subject, layer, wanted, samples)
    base, exact, scores = tail.base, tail.exact, tail.scores
    scale = float(np.sqrt(np.mean(base**2))) or 1.0
    weights = exact[layer.weights_tensor]
    places = float(np.prod(base.shape[2:]))

    errors = []
    for mixture in _channel_directions(samples.rng, weights):
        direction = np.broadcast_to(mixture[None, :, None, None], base.shape)
        typical = np.linalg.norm(weights, axis=2) * places * np.linalg.norm(mixture)
        errors.append(_slope_error(scores, base, direction, scale, weights @ mixture * places, typical))
    if layer.gradients_tensor:
        full = exact[layer.gradients_tensor]
        direction = samples.rng.standard_normal(base.shape)
        got, typical = (full * direction[:, None]).sum(axis=(2, 3, 4)), np.sqrt((full**2).sum(axis=(2, 3, 4)))
        errors.append(_slope_error(scores, base, direction, scale, got, typical))
    return errors


def _slope_error(
    scores: Scores, base: np.ndarray, direction: np.ndarray, scale: float, got: np.ndarray, typical: np.ndarray
) -> float:
    """Return the error of `got` against the best of a few central differences."""
    best = float("inf")
    for step in _STEPS:
        expected, noise = _slope(scores, base, direction, step * scale)
        best = min(best, _error(got, expected, np.maximum(typical, noise)))
        if best <= _GRADIENT_TOLERANCE:
            break
    return best


def _channel_directions(rng: np.random.Generator, weights: np.ndarray) -> list[np.ndarray]:
    """Return random mixtures of channels, and single channels: the strongest and a random one."""
    count = weights.shape[2]
    strongest = int(np.abs(weights).max(axis=(0, 1)).argmax())
    singles = [np.eye(count)[k] for k in (strongest, int(rng.integers(count)))]
    return [rng.standard_normal(count) for _ in range(_DIRECTIONS)] + singles


def _slope(scores: Scores, base: np.ndarray, direction: np.ndarray, step: float) -> tuple[np.ndarray, float]:
    """Differentiate the scores [N, T] along a direction by central differences.

    Their error is of second order in the step, which is small enough for that not to show in float64. The second number
    is the size below which a slope is lost in the rounding of the scores.
    """
    ahead, behind = (scores(base + sign * step * direction) for sign in (1, -1))
    noise = _NOISE * float(np.finfo(np.float64).eps * np.abs(ahead).max(initial=0.0) / step)
    return np.asarray((ahead - behind) / (2 * step)), noise


def _error(got: np.ndarray, expected: np.ndarray, typical: np.ndarray) -> float:
    """Compare slopes relative to their size, or to that of slopes along most directions where these nearly cancel."""
    error = np.abs(got - expected) / np.maximum(np.maximum(np.abs(expected), 0.1 * typical), 1e-30)
    return float(np.max(error)) if np.isfinite(error).all() else float("inf")


def _relative_to_largest(a: np.ndarray, b: np.ndarray) -> float:
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if a.shape != b.shape:
        return float("inf")
    difference = np.abs(a - b)
    return (
        float(difference.max(initial=0.0)) / max(float(np.abs(b).max(initial=0.0)), 1e-30)
        if np.isfinite(difference).all()
        else float("inf")
    )


def _compared(subject: Subject, found: Arrays) -> list[str]:
    return [
        name
        for name, array in found.items()
        if np.issubdtype(array.dtype, np.floating) and array.shape[:1] == (subject.batch,)
    ]


def _worst(errors: dict[str, float], new: dict[str, float]) -> None:
    for name, error in new.items():
        errors[name] = max(error, errors.get(name, 0.0))
