"""The checks of a certificate: each says what was compared, how far off it was, how far is allowed, and where."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from camgraph.v1 import manifest_pb2 as pb
from camgraph_exporter.certificate.batches import batch_consistent
from camgraph_exporter.certificate.differences import gradients_right
from camgraph_exporter.certificate.forward_values import ForwardRun
from camgraph_exporter.certificate.layer_to_score import comparison_of, is_quantised
from camgraph_exporter.certificate.measures import note_worst
from camgraph_exporter.certificate.operators import operators_portable, operators_standard
from camgraph_exporter.certificate.outcome import make_check
from camgraph_exporter.certificate.registration import layer_registered
from camgraph_exporter.certificate.source_outputs import optimised_outputs, outputs_unchanged
from camgraph_exporter.certificate.subject import Subject
from camgraph_exporter.certificate.telling import draw_telling
from camgraph_exporter.certificate.tolerance import gradient_tolerance
from camgraph_exporter.graph.measures import relative_l2, relative_to_largest
from camgraph_exporter.targets.draw import Arrays

_SWITCH_TOLERANCE = 1e-6
_INTEGER_TOLERANCE = 0.5


def gradients_present(subject: Subject) -> pb.Check:
    """The gradient is finite, and not zero everywhere: a graph whose maps are always empty explains nothing."""
    telling = draw_telling(subject, "gradient-present", subject.batch, 3)
    return make_check(
        "gradient-present",
        "Zero if the weights of some target are finite and not all zero on random images, else infinite.",
        {layer.name: np.inf if layer.name in telling.silent else 0.0 for layer in subject.layers},
        0.0,
    )


def float32_close(subject: Subject) -> pb.Check:
    """(b) The weights that onnxruntime computes are those of float64, from the forward values of the same run.

    Those of a quantised model are taken from the same integers.
    """
    found, exact = _from_integers(subject) if is_quantised(subject) else _from_forward_values(subject)
    return make_check(
        "gradient-float32",
        "Relative L2 distance of onnxruntime's weights from float64 weights at the same forward values.",
        {layer.name: relative_l2(*(of[layer.weights_tensor] for of in (found, exact))) for layer in subject.layers},
        gradient_tolerance(subject),
    )


def integers_stand_for_reals(subject: Subject) -> pb.Check:
    """The integers of a quantised model are those that its surrogate, whose derivative is exported, rounds to."""
    errors = {"graph": 0.0}
    if is_quantised(subject):
        for layer in subject.layers:
            note_worst(errors, comparison_of(subject, layer).distance())
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
            spec.name: relative_to_largest(off[spec.name], on[spec.name]) for spec in subject.manifest.source_outputs
        }
        errors |= {layer.weights_tensor: float(off[layer.weights_tensor].size) for layer in subject.layers}
    return make_check(
        "switch",
        "Change of a source output when the gradients are switched off; weights left over.",
        errors,
        _SWITCH_TOLERANCE,
    )


ALL: list[Callable[[Subject], pb.Check]] = [
    operators_standard,
    operators_portable,
    outputs_unchanged,
    optimised_outputs,
    gradients_present,
    batch_consistent,
    switch_works,
    gradients_right,
    float32_close,
    integers_stand_for_reals,
    layer_registered,
]


def _from_forward_values(subject: Subject) -> tuple[Arrays, Arrays]:
    """Return the weights of each layer as onnxruntime computes them, and in float64 from the same forward values."""
    feeds = draw_telling(subject, "gradient-float32", subject.smallest_batch, 2).feeds
    return ForwardRun(subject).run(feeds, [layer.weights_tensor for layer in subject.layers])


def _from_integers(subject: Subject) -> tuple[Arrays, Arrays]:
    """Return the weights of each layer of a quantised graph, and in float64 from the same integers."""
    found, exact = Arrays(), Arrays()
    for layer in subject.layers:
        comparison, name = comparison_of(subject, layer), layer.weights_tensor
        found[name] = comparison.deployed.found[name]
        exact |= comparison.outputs([name], activations=comparison.activations)
    return found, exact
