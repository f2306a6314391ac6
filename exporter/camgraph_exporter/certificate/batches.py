"""Checks that a batch of N images with T targets gives what N batches of one and T single targets give."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from camgraph.v1 import manifest_pb2 as pb
from camgraph_exporter.certificate.forward_values import ForwardRun
from camgraph_exporter.certificate.layer_to_score import is_quantised, nudged
from camgraph_exporter.certificate.measures import note_worst
from camgraph_exporter.certificate.outcome import make_check
from camgraph_exporter.certificate.subject import Subject, gradient_outputs
from camgraph_exporter.certificate.telling import draw_telling
from camgraph_exporter.certificate.tolerance import batch_tolerance
from camgraph_exporter.graph.measures import relative_l2
from camgraph_exporter.targets.draw import Arrays

NAME = "batch-and-targets"
_TARGETS = 3
# Images of a batch that are also run alone.
_IMAGES = 3
Run = Callable[[Arrays], Arrays]


@dataclass(frozen=True)
class _Part:
    """A run of less than the whole. `share` cuts the same out of an output of the whole run."""

    feeds: Arrays
    share: tuple[slice, ...]
    outputs: Sequence[str]


def batch_consistent(subject: Subject) -> pb.Check:
    """(c) A batch of N equals N batches of one, and T targets equal T runs.

    Where the batch is fixed, an image among others equals the image among copies of itself.

    A runtime sums a batch in another order than a single image. Outputs follow smoothly, but a gate whose input is next
    to zero may open in one run and shut in the other. Gradients that differ are looked at again in a way that no gate
    decides: each run must be right for its own forward values, and in float64, from the same activations, the whole
    must equal its parts.
    """
    feeds = draw_telling(subject, NAME, subject.batch, _TARGETS).feeds
    tolerance = batch_tolerance(subject)
    errors = _whole_against_parts(subject, feeds, subject.engine.run)
    if not is_quantised(subject) and any(errors[name] > tolerance for name in subject.gradient_outputs):
        errors |= _apart_from_gates(subject, feeds)
    return make_check(
        NAME, "Relative L2 distance between a batch with three targets and its single runs.", errors, tolerance
    )


def _whole_against_parts(subject: Subject, feeds: Arrays, run: Run) -> dict[str, float]:
    whole = run(feeds)
    errors: dict[str, float] = {}
    for part in _parts(subject, feeds, whole):
        single = run(part.feeds)
        note_worst(errors, {name: _distance(single[name], whole[name][part.share]) for name in part.outputs})
    return errors


def _parts(subject: Subject, feeds: Arrays, whole: Arrays) -> Iterator[_Part]:
    """Return each image by itself, where the graph takes one and rounds it by itself, and each target by itself."""
    per_image = [
        name
        for name, array in whole.items()
        if np.issubdtype(array.dtype, np.floating) and array.shape[:1] == (subject.batch,)
    ]
    per_target = [
        name for name in (*subject.gradient_outputs, subject.manifest.target.target_score_output) if name in whole
    ]
    images = 0 if subject.batch == 1 or subject.rounds_by_batch else min(subject.batch, _IMAGES)
    for n in range(images):
        yield _Part(subject.one_image(feeds, n), (slice(n, n + 1),), per_image)
    for t in range(_TARGETS):
        yield _Part(subject.some_targets(feeds, [t]), (slice(None), slice(t, t + 1)), per_target)


def _apart_from_gates(subject: Subject, feeds: Arrays) -> dict[str, float]:
    """Return the errors of gradients: of each run at its own forward values, and of float64 at the same activations."""
    errors: dict[str, float] = {}
    found, names = subject.engine.run(feeds), subject.gradient_outputs
    forward = ForwardRun(subject)
    for run_feeds in (feeds, *(part.feeds for part in _parts(subject, feeds, found))):
        given, exact = forward.run(run_feeds, names)
        note_worst(errors, {name: relative_l2(given[name], exact[name]) for name in names})
    resolved = subject.resolved(feeds, found)
    rng = subject.samples(f"{NAME}/activations").rng
    for layer in subject.layers:
        outputs = gradient_outputs(layer)
        activations = nudged(found[layer.activations_tensor], rng)
        at_layer = {**resolved, layer.name: subject.at_layer(layer, resolved)(activations)}
        run = functools.partial(subject.run_in_float64, outputs=outputs)
        note_worst(errors, _whole_against_parts(subject, at_layer, run))
    return errors


def _distance(part: np.ndarray, share: np.ndarray) -> float:
    return relative_l2(part[: len(share)], share)
