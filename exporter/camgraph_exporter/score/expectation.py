"""Tells whether a combination of probabilities is a probability again, or a quantity such as an expected age.

A mean of an ensemble, some classes, or the sum of some are probabilities. A softmax over ages that is multiplied by the
ages and summed is an age (Rothe et al. 2015, DEX: Deep EXpectation of apparent age), a softmax over places a place,
and a sum of sigmoids a count. The graphs look alike, so the numbers by which classes are multiplied decide.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx_ir as ir

from camgraph.v1 import manifest_pb2 as pb
from camgraph_exporter.prepare.prepare import PreparedModel
from camgraph_exporter.score.output_head import OutputHead
from camgraph_exporter.score.stretch import Stretch, stretch

_MOST_CLASSES = 64  # that are tried of a softmax
_WIDTH = 1e-3


def is_expectation(prepared: PreparedModel, value: ir.Value, heads: Mapping[ir.Value, OutputHead]) -> bool:
    """Tell whether a linear combination of probabilities is a quantity. `heads`: how each of them is made."""
    for leaf, head in heads.items():
        f = stretch(prepared, leaf, value, without=[other for other in heads if other is not leaf])
        if f is None:
            continue
        if head.kind == pb.HEAD_KIND_SIGMOID:
            if not _is_mean_or_selection(f):
                return True
        elif head.class_axis is not None and not _shares_classes_out(f, head.class_axis):
            return True
    return False


def _is_mean_or_selection(f: Stretch) -> bool:
    """Tell whether numbers that rise with each other stay in 0..1, or come one for one."""
    ones, nothing = f(np.ones(f.shape)), f(np.zeros(f.shape))
    if ones is None or nothing is None or ones.size == np.prod(f.shape):
        return True
    return bool((ones - nothing).max(initial=0) <= 1 + _WIDTH)


def _shares_classes_out(f: Stretch, axis: int) -> bool:
    """Tell whether each result takes its classes alike, or each class is shared out among the results alike."""
    classes = np.arange(f.shape[axis])
    if len(classes) > _MOST_CLASSES:
        classes = np.random.default_rng(6).choice(classes, _MOST_CLASSES, replace=False)
    nothing = f(np.zeros(f.shape))
    rows = []
    for index in classes:
        hot = np.zeros(f.shape)
        np.moveaxis(hot, axis, 0)[index] = 1
        result = f(hot)
        if result is None or nothing is None:
            return True
        rows.append((result - nothing).ravel())
    factors = np.stack(rows)
    largest = np.abs(factors).max()
    if factors.min() < -_WIDTH * largest:
        return False
    used = factors > _WIDTH * largest
    alike = np.abs(factors - factors.max(axis=0)) <= _WIDTH * largest
    totals = factors.sum(axis=1)
    return bool((alike | ~used).all() or np.ptp(totals) <= _WIDTH * totals.max())
