"""Tells which head a function is: a softmax, a sigmoid, a logarithm of one, or a multiple, by what it computes.

Numbers are fed to the function, and the results are compared with those of each head: `scale * F(slope * y) + offset`.
A function that computes a softmax is one, whatever operators it is written in.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from camgraph.v1 import manifest_pb2 as pb

Function = Callable[[np.ndarray], np.ndarray | None]

# Largest difference between probabilities: half precision, clipping, and rounding to two decimals pass. The agreement
# only decides where the score is: the probabilities that a user sees are the model's own.
_TOLERANCE = 6e-3
_FEWEST = 256  # scores that are fed at a time
_READABLE = 1e-3  # a probability below says little of its score
_DRAWS = 24  # of scores that are raised: a threshold shows in about one of four
_SIZES = (60.0, 20.0)  # of scores that saturate a head; the largest that gives finite numbers counts
_LOGARITHMS = tuple(sign / base for base in (1.0, np.log(10), np.log(2)) for sign in (1, -1))


@dataclass(frozen=True)
class HeadForm:
    """result = scale * F(slope * y) + offset, with F the softmax or sigmoid (or its logarithm) that `kind` says.

    `axis`: the classes of y, for a softmax. `shows`: "all" classes; "both" classes (1 - p, p) of a single score; "one"
    of the two classes of y. `error`: the largest difference between probabilities.
    """

    kind: pb.HeadKind
    slope: float
    scale: float
    offset: float
    is_logarithm: bool = False
    axis: int | None = None
    shows: str = "all"
    error: float = 0.0


def head_form(f: Function, shape: tuple[int, ...]) -> HeadForm | None:
    """Return the head that a function computes from scores of the given shape, batch first; None if it is none."""
    f, shape = _of_many(f, shape)
    y = 2 * np.random.default_rng(0).standard_normal(shape)
    result = f(y)
    if result is None:
        return None
    forms: Iterator[HeadForm | None]
    if result.size == y.size:
        forms = (form for order in _orders(result.shape, shape) for form in _same_size(_then(f, order), y))
    elif result.size == 2 * y.size:
        forms = (_both(f, y, result.shape, axis) for axis in range(1, result.ndim))
    else:
        forms = (_one_of_two(f, y, axis) for axis in range(1, y.ndim))
    found = [_rounded(form) for form in forms if form is not None]
    # A number in -1..1 may be the tanh of an angle as well as twice a probability: it is not taken for one.
    return min((form for form in found if form.offset == 0), key=lambda form: form.error, default=None)


def direction(f: Function, shape: tuple[int, ...]) -> int:
    """Return 1 where each result rises with its own score and all lie in 0..1, -1 where it falls; else 0."""
    f, shape = _of_many(f, shape)
    rng = np.random.default_rng(1)
    y = 2 * rng.standard_normal(shape)
    result = f(y)
    if result is None or result.size != y.size:
        return 0
    far = [x for size in _SIZES if (x := f(size * rng.uniform(-1, 1, shape))) is not None]
    if not far or not all(x.min() > -_READABLE and x.max() < 1 + _READABLE for x in (result, *far)):
        return 0
    for order in _orders(result.shape, shape):
        steps = np.concatenate([_steps(f, order, y, result, rng) for _ in range(_DRAWS)])
        for sign in (1, -1):
            if steps.size and (sign * steps > -1e-6).all() and (sign * steps).max() > _READABLE:
                return sign
    return 0


def _steps(
    f: Function, order: Callable[[np.ndarray], np.ndarray], y: np.ndarray, result: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Raise one random score in each row of `y`, and return by how much its own result rises."""
    chosen = np.zeros((y.shape[0], y[0].size), bool)
    chosen[np.arange(y.shape[0]), rng.integers(0, y[0].size, y.shape[0])] = True
    chosen = chosen.reshape(y.shape)
    moved = f(y + chosen * rng.uniform(0.5, 2, y.shape))
    return (order(moved) - order(result))[chosen] if moved is not None else np.zeros(0)


def _of_many(f: Function, shape: tuple[int, ...]) -> tuple[Function, tuple[int, ...]]:
    """Return the function of several batches at once, and their shape: two numbers tell nothing."""
    times = max(1, _FEWEST // max(1, math.prod(shape)))
    if not shape:
        return f, shape

    def of_many(y: np.ndarray) -> np.ndarray | None:
        results = [f(part) for part in np.split(y, times)]
        known = [result for result in results if result is not None]
        # Where a result's size follows from the numbers, there is no common shape.
        alike = len({result.shape for result in known}) == 1
        return np.concatenate(known) if len(known) == times and alike and known[0].ndim else None

    return of_many, (times * shape[0], *shape[1:])


def _then(f: Function, order: Callable[[np.ndarray], np.ndarray]) -> Function:
    def ordered(y: np.ndarray) -> np.ndarray | None:
        result = f(y)
        return None if result is None else order(result)

    return ordered


def _orders(have: tuple[int, ...], want: tuple[int, ...]) -> Iterator[Callable[[np.ndarray], np.ndarray]]:
    """Yield the ways to lay out a result as the scores are: as it is, or with its axes in another order."""
    if have == want:
        yield lambda x: x
        return
    slim, goal = [size for size in have if size != 1], [size for size in want if size != 1]
    if len(slim) > 4:
        return
    for axes in itertools.permutations(range(len(slim))):
        if [slim[axis] for axis in axes] == goal:
            yield lambda x, axes=axes: x.reshape(slim).transpose(axes).reshape(want)  # type: ignore[misc]  # mypy infers no lambda with defaults


def _same_size(f: Function, y: np.ndarray) -> Iterator[HeadForm | None]:
    for axis in range(1, y.ndim):
        if y.shape[axis] > 1:
            yield _softmax(f, y, axis)
    yield _sigmoid(f, y)


def _softmax(f: Function, y: np.ndarray, axis: int) -> HeadForm | None:
    rng = np.random.default_rng(2)
    shape = [1 if i == axis else size for i, size in enumerate(y.shape)]
    hot = np.zeros(y.shape)
    np.put_along_axis(hot, rng.integers(0, y.shape[axis], shape), 1, axis)
    ends, result = _ends(f, hot), f(y)
    if ends is None or result is None:
        return None
    for form, p in _readings(result, ends):
        fit = _softmax_slope(p, y, axis)
        if fit is None:
            continue
        slope, error = fit
        kind = pb.HEAD_KIND_LOG_SOFTMAX if form.is_logarithm else pb.HEAD_KIND_SOFTMAX
        found = replace(form, kind=kind, slope=slope, axis=axis, error=error)
        if form.is_logarithm or form.scale > 0:
            return found
        # 1 - p of two classes is the softmax of the negated scores.
        return _turned(found) if y.shape[axis] == 2 else None
    return None


def _sigmoid(f: Function, y: np.ndarray) -> HeadForm | None:
    high = np.random.default_rng(3).integers(0, 2, y.shape).astype(np.float64)
    if high.all() or not high.any():
        high.flat[0] = 1 - high.flat[0]
    ends, result = _ends(f, high), f(y)
    if ends is None or result is None:
        return None
    for form, p in _readings(result, ends):
        fit = _sigmoid_slope(p, y)
        if fit is None:
            continue
        # A softplus of y is -log(sigmoid(-y)), but positive numbers that rise with y are not probabilities.
        if form.is_logarithm and form.scale < 0 and fit[0] < 0:
            return None
        found = replace(form, kind=pb.HEAD_KIND_SIGMOID, slope=fit[0], error=fit[1])
        return found if form.is_logarithm or form.scale > 0 else _turned(found)
    return None


def _both(f: Function, y: np.ndarray, shape: tuple[int, ...], axis: int) -> HeadForm | None:
    """Return the head of a function that gives (1 - p, p) along `axis` for one score."""
    if shape[axis] != 2:
        return None

    def one(index: int) -> Function:
        return _then(f, lambda x: np.take(x, index, axis).reshape(y.shape))

    second, first = _sigmoid(one(1), y), one(0)(y)
    p = one(1)(y)
    if second is None or first is None or p is None or second.is_logarithm:
        return None
    rest = (first - second.offset) / second.scale + (p - second.offset) / second.scale - 1
    return replace(second, shows="both") if np.abs(rest).max() <= _TOLERANCE else None


def _one_of_two(f: Function, y: np.ndarray, axis: int) -> HeadForm | None:
    """Return the head of a function that gives the probability of one of the two classes along `axis` of the scores."""
    result = f(y)
    if y.shape[axis] != 2 or result is None or 2 * result.size != y.size:
        return None
    half = np.take(y, 0, axis)

    def of_difference(d: np.ndarray) -> np.ndarray | None:
        found = f(np.stack([half - d / 2, half + d / 2], axis))
        return None if found is None else found.reshape(half.shape)

    found = _sigmoid(of_difference, np.take(y, 1, axis))
    return None if found is None else replace(found, axis=axis, shows="one")


@dataclass(frozen=True)
class _Ends:
    """The result for scores that are far above the others, and far below; None where it has no limit."""

    top: float | None
    bottom: float | None


def _ends(f: Function, high: np.ndarray) -> _Ends | None:
    """Feed scores that are far above the others where `high` is one, and far below where it is zero."""
    for size in _SIZES:
        far, near = f(size * (high - 0.5)), f(0.8 * size * (high - 0.5))
        if far is not None and near is not None and far.shape == high.shape:
            width = _TOLERANCE * max(float(np.ptp(far)), 1e-30)
            pairs = [(np.median(far[high == end]), np.median(near[high == end])) for end in (1, 0)]
            return _Ends(*(float(one) if abs(one - other) <= width else None for one, other in pairs))
    return None


def _readings(result: np.ndarray, ends: _Ends) -> Iterator[tuple[HeadForm, np.ndarray]]:
    """Yield the probabilities that a result may stand for, and how: one end stands for 1, the other for 0."""
    if ends.top is not None and ends.bottom is not None:
        scale = ends.top - ends.bottom
        if scale != 0:
            yield HeadForm(pb.HEAD_KIND_NONE, 1, scale, ends.bottom), (result - ends.bottom) / scale
    for one, scale in itertools.product((ends.top, ends.bottom), _LOGARITHMS):
        if one is not None:
            with np.errstate(over="ignore"):
                yield HeadForm(pb.HEAD_KIND_NONE, 1, scale, one, is_logarithm=True), np.exp((result - one) / scale)


def _softmax_slope(p: np.ndarray, y: np.ndarray, axis: int) -> tuple[float, float] | None:
    if not _are_probabilities(p) or np.abs(p.sum(axis) - 1).max() > _TOLERANCE * p.shape[axis]:
        return None
    best = np.expand_dims(p.argmax(axis), axis)
    logs = np.log(np.maximum(p, 1e-300))
    known = p > _READABLE
    dp, dy = ((x - np.take_along_axis(x, best, axis))[known] for x in (logs, y))

    def head(scores: np.ndarray) -> np.ndarray:
        powers = np.exp(scores - scores.max(axis, keepdims=True))
        result: np.ndarray = powers / powers.sum(axis, keepdims=True)
        return result

    return _best_slope(head, p, y, _slope(dp, dy))


def _sigmoid_slope(p: np.ndarray, y: np.ndarray) -> tuple[float, float] | None:
    if not _are_probabilities(p):
        return None
    known = (p > _READABLE) & (p < 1 - _READABLE)

    def head(scores: np.ndarray) -> np.ndarray:
        result: np.ndarray = np.exp(-np.logaddexp(0, -scores))
        return result

    return _best_slope(head, p, y, _slope(np.log(p[known]) - np.log1p(-p[known]), y[known]))


def _best_slope(
    head: Callable[[np.ndarray], np.ndarray], p: np.ndarray, y: np.ndarray, fitted: float
) -> tuple[float, float] | None:
    """Return the slope with which a head gives the probabilities, and the error; 1 or -1 before the fitted one."""
    errors = {slope: float(np.abs(head(slope * y) - p).max()) for slope in (fitted, 1.0, -1.0)}
    plain = min((1.0, -1.0), key=errors.__getitem__)
    slope = plain if errors[plain] <= max(4 * errors[fitted], 1e-5) else fitted
    return (slope, errors[slope]) if errors[slope] <= _TOLERANCE else None


def _are_probabilities(p: np.ndarray) -> bool:
    return bool(np.isfinite(p).all() and p.min() >= -_TOLERANCE and p.max() <= 1 + _TOLERANCE)


def _slope(rise: np.ndarray, run: np.ndarray) -> float:
    length = float(np.sum(run * run))
    return float(np.sum(rise * run)) / length if length > 0 else 0.0


def _turned(form: HeadForm) -> HeadForm:
    """Say `offset - scale * p` by the probability of the other outcome."""
    return replace(form, slope=-form.slope, scale=-form.scale, offset=form.offset + form.scale)


def _rounded(form: HeadForm) -> HeadForm:
    """Replace factors by the round numbers that they are near to."""
    if form.is_logarithm:
        return replace(form, offset=_near(form.offset, 1e-3))
    scale = next((s for s in (1.0, 100.0, 255.0) if abs(form.scale / s - 1) <= 2 * _TOLERANCE), form.scale)
    return replace(form, scale=scale, offset=_near(form.offset, _TOLERANCE * scale))


def _near(offset: float, width: float) -> float:
    return 0.0 if abs(offset) <= width else offset
