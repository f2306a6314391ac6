"""Checks that the trained model's outputs are what they were."""

from __future__ import annotations

import numpy as np

from camgraph.v1 import manifest_pb2 as pb
from camgraph_exporter.certificate.outcome import make_check, make_statement
from camgraph_exporter.certificate.subject import Subject
from camgraph_exporter.certificate.tolerance import source_tolerance
from camgraph_exporter.graph.measures import relative_to_largest

Pair = tuple[np.ndarray, np.ndarray]


def outputs_unchanged(subject: Subject) -> pb.Check:
    """(a) Operator by operator, the trained model's outputs are what they were, bit by bit.

    Both graphs run without onnxruntime's optimisation, which makes other sums of the same operators as soon as an inner
    value has one more reader.
    """
    pairs = _before_and_after(subject, optimize=False)
    return make_check(
        "source-outputs",
        "Largest change of a source output, relative to its largest element, where both graphs run operator by "
        "operator.",
        {name: relative_to_largest(after, before) for name, (before, after) in pairs.items()},
        source_tolerance(subject),
    )


def optimised_outputs(subject: Subject) -> pb.Check:
    """(a) How far the outputs change as they are deployed, with what onnxruntime's optimisation makes of both graphs.

    The figure is stated, as the trained model by itself changes as much from one version or CPU to the next; only
    numbers that are no longer finite fail. Outputs that are not real numbers, or have another number of rows, have no
    such figure.
    """
    pairs = _before_and_after(subject, optimize=True)
    return make_statement(
        "source-outputs-optimised",
        "Largest change of a source output, relative to its largest element, as onnxruntime optimises both graphs.",
        {
            name: relative_to_largest(after, before)
            for name, (before, after) in pairs.items()
            if _comparable(before, after)
        },
    )


def _before_and_after(subject: Subject, *, optimize: bool) -> dict[str, Pair]:
    """Return each source output of the trained model and of the explainable graph, on the same images."""
    feeds = subject.samples("source-outputs").feeds(subject.batch, 2)
    before = subject.run_source(feeds, optimize=optimize)
    after = subject.run(feeds, optimize=optimize)
    return {name: (array, after[name]) for name, array in before.items()}


def _comparable(before: np.ndarray, after: np.ndarray) -> bool:
    return np.issubdtype(before.dtype, np.floating) and before.shape == after.shape
