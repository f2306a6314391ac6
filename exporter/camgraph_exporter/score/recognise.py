"""Finds the scores before an output whose head is not a single operator, by what the end of the model computes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx_ir as ir

from camgraph.v1 import manifest_pb2 as pb
from camgraph_exporter.prepare.prepare import PreparedModel
from camgraph_exporter.score.added_score import difference, multiple, named
from camgraph_exporter.score.class_part import class_part
from camgraph_exporter.score.head_form import HeadForm, direction, head_form
from camgraph_exporter.score.mixture import Mixture, mixture_of, outer_form
from camgraph_exporter.score.odds import is_product, log_odds
from camgraph_exporter.score.output_head import OutputHead, plain_head
from camgraph_exporter.score.pieces import whole
from camgraph_exporter.score.stretch import Stretch, cuts_before, is_fixed, stretch

_WIDTH = 1e-3  # how far from 0..1, and from a sum of 1, probabilities may be
_WORDS = {
    pb.HEAD_KIND_SOFTMAX: "softmax",
    pb.HEAD_KIND_LOG_SOFTMAX: "log-softmax",
    pb.HEAD_KIND_SIGMOID: "sigmoid",
}


_PRODUCT = (
    "Boxes are ranked by a product of sigmoids, as of how likely a box is an object and of which class; the score is "
    "the log odds of that product."
)

Way = tuple[ir.Value, Stretch]


def head_of(prepared: PreparedModel, output: ir.Value) -> OutputHead:
    """Return the scores that an output shows; the output itself where nothing is applied to them."""
    is_of_boxes = output.shape is not None and len(output.shape) == 3
    part = class_part(output) if is_of_boxes else None
    found = (_product(prepared, output) if is_of_boxes else None) or _head(
        prepared, output if part is None else part.value
    )
    return found if part is None else replace(found, part=part)


def _product(prepared: PreparedModel, output: ir.Value) -> OutputHead | None:
    """Return the scores of products of sigmoids, such as how likely a box is an object and of which class."""
    if not is_product(prepared, output):
        return None
    score = named(prepared, log_odds(prepared, output, [whole(output)]), output)
    return OutputHead(score, pb.HEAD_KIND_SIGMOID, note=_PRODUCT)


def _head(prepared: PreparedModel, output: ir.Value) -> OutputHead:
    plain = plain_head(output)
    if plain.kind == pb.HEAD_KIND_NONE:
        # The value is the output, or what the output is the index of the best of.
        found = _recognise(prepared, plain.value)
        return plain if found is None else replace(found, class_axis=found.class_axis or plain.class_axis)
    before = plain_head(plain.value)
    if before.kind == pb.HEAD_KIND_NONE and not _may_be_shifted(prepared, plain.value):
        return plain
    exact = _exact(prepared, output, _ways(prepared, output))
    if exact is not None and exact.value is not plain.value:
        return exact
    if before.kind == pb.HEAD_KIND_NONE:
        return plain
    note = (
        f"Output {output.name!r} is a {_WORDS[plain.kind]} of a {_WORDS[before.kind]}. "
        f"The score is {before.value.name!r}, before both."
    )
    return replace(
        before, kind=pb.HEAD_KIND_PROBABILITY, is_logarithm=plain.kind == pb.HEAD_KIND_LOG_SOFTMAX, note=note
    )


def _recognise(prepared: PreparedModel, output: ir.Value) -> OutputHead | None:
    """Return the scores that an output shows, in the order of trust; None where it shows no probabilities.

    First comes what is exactly a softmax, log-softmax or sigmoid; then a mean, or another linear combination, of such;
    then probabilities of any other kind that rise with the scores before them; last, what looks like probabilities.
    """
    ways = _ways(prepared, output)
    return (
        _exact(prepared, output, ways)
        or _mixture(prepared, output, ways)
        or _rising(prepared, output, ways)
        or _by_its_look(prepared, output)
    )


def _ways(prepared: PreparedModel, output: ir.Value) -> list[Way]:
    """Return the values before an output that decide it alone, the nearest first, each with the function to it."""
    return [(cut, f) for cut in cuts_before(prepared, output) if (f := stretch(prepared, cut, output)) is not None]


def _may_be_shifted(prepared: PreparedModel, value: ir.Value) -> bool:
    """Tell whether a value is a sum or difference of two values that depend on the image, such as `z - max(z)`."""
    node = value.producer()
    if node is None or node.domain or node.op_type not in {"Add", "Sub"}:
        return False
    return all(x is not None and not is_fixed(prepared, x) for x in node.inputs)


def _exact(prepared: PreparedModel, output: ir.Value, ways: list[Way]) -> OutputHead | None:
    found: tuple[ir.Value, HeadForm] | None = None
    for cut, f in ways:
        form = head_form(f, f.shape)
        if form is not None and _is_better(form, None if found is None else found[1]):
            found = cut, form
    if found is None:
        return None
    cut, form = found
    value = cut if form.shows != "one" else difference(prepared, cut, form.axis or 1)
    value = named(prepared, multiple(prepared, value, form.slope), output)
    return OutputHead(
        value,
        form.kind,
        class_axis=form.axis if form.shows == "all" else None,
        scale=form.scale,
        is_logarithm=form.is_logarithm,
        note=_account(output, cut, form),
    )


def _is_better(form: HeadForm, than: HeadForm | None) -> bool:
    """Prefer scores that need no factor; of these the farthest from the output, as long as they are as exact.

    A softmax of `z - max(z)` is one of z, too, and only z has the slopes of the scores.
    """
    if than is None:
        return True
    return form.slope == 1 and (than.slope != 1 or form.error <= max(2 * than.error, 1e-6))


def _account(output: ir.Value, cut: ir.Value, form: HeadForm) -> str:
    of = f"{cut.name!r}" if form.slope == 1 else f"{form.slope:.6g} times {cut.name!r}"
    of = f"the negated {cut.name!r}" if form.slope == -1 else of
    of = f"the difference of the two scores {cut.name!r}" if form.shows == "one" else of
    logarithm = "logarithm of the " if form.is_logarithm and form.kind != pb.HEAD_KIND_LOG_SOFTMAX else ""
    times = "" if form.scale == 1 else f", times {form.scale:.6g}"
    both = ", for both classes" if form.shows == "both" else ""
    return (
        f"Output {output.name!r} is the {logarithm}{_WORDS[form.kind]} of {of}{both}{times}. "
        "This was found by what it computes."
    )


def _mixture(prepared: PreparedModel, output: ir.Value, ways: list[Way]) -> OutputHead | None:
    def leaf(value: ir.Value) -> OutputHead | None:
        head = plain_head(value)
        return head if head.kind != pb.HEAD_KIND_NONE else _exact(prepared, value, _ways(prepared, value))

    places: list[tuple[ir.Value, Stretch | None]] = [(output, None), *ways]
    for place, after in places:
        found = mixture_of(prepared, place, leaf)
        outer = outer_form(after) if found is not None else None
        if found is None or outer is None:
            continue
        if found.is_quantity:
            return OutputHead(output, is_quantity=True, note=_quantity(output, found))
        scale, is_logarithm = outer
        score = named(prepared, multiple(prepared, found.score, 1 / found.total), output)
        note = (
            f"Output {output.name!r} is {found.account}. The score {score.name!r} is the same of these scores"
            f"{', and classes are ranked by the probabilities' if found.is_mixed else ''}."
        )
        return OutputHead(
            score,
            pb.HEAD_KIND_SIGMOID if found.is_sigmoid else pb.HEAD_KIND_PROBABILITY,
            class_axis=found.class_axis,
            scale=scale * found.total,
            is_logarithm=is_logarithm,
            ranked_by=place if found.is_mixed else None,
            note=note,
        )
    return None


def _quantity(output: ir.Value, found: Mixture) -> str:
    return (
        f"Output {output.name!r} is {found.account}, with factors by which it is a quantity and not a probability, "
        "such as an expected age. For the classes themselves, name their scores with --score."
    )


def _rising(prepared: PreparedModel, output: ir.Value, ways: list[Way]) -> OutputHead | None:
    for cut, f in ways:
        sign = direction(f, f.shape)
        if sign:
            before = plain_head(cut)
            score = multiple(prepared, before.value if before.kind != pb.HEAD_KIND_NONE else cut, float(sign))
            value = named(prepared, score, output)
            way = "rise" if sign > 0 else "fall"
            note = (
                f"Output {output.name!r} holds probabilities, but not by a softmax or sigmoid. They {way} with "
                f"{cut.name!r}, and the score is {value.name!r}."
            )
            return OutputHead(value, pb.HEAD_KIND_PROBABILITY, note=note)
    return None


def _by_its_look(prepared: PreparedModel, output: ir.Value) -> OutputHead | None:
    """Take several numbers per image that lie in 0..1 and sum to 1 along an axis as probabilities."""
    sample = prepared.probe.outputs.get(str(output.name))
    if sample is None or sample.dtype.kind != "f" or sample.ndim < 2:
        return None
    numbers = sample.astype(np.float64)
    if numbers.min(initial=1) < -_WIDTH or numbers.max(initial=0) > 1 + _WIDTH:
        return None
    for axis in range(1, numbers.ndim):
        if numbers.shape[axis] > 1 and np.abs(numbers.sum(axis) - 1).max(initial=0) < _WIDTH:
            note = (
                f"Output {output.name!r} holds probabilities, as its numbers lie in 0..1 and sum to 1, but no scores "
                "were found before them. The gradients are those of the probabilities, which vanish where one is near "
                "to 0 or 1. Name the scores with --score if the model has any."
            )
            return OutputHead(output, pb.HEAD_KIND_PROBABILITY, class_axis=axis, note=note)
    return None
