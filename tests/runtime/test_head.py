"""Scores and probabilities from every kind of head."""

from __future__ import annotations

import numpy as np
import pytest

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.errors import InvalidGraphError
from camgraph_runtime.tasks.head_scores import ClassValues, read_head

SCORES = np.array([1.0, 3.0, -2.0, 0.5])
SOFTMAX = np.exp(SCORES) / np.exp(SCORES).sum()
SIGMOID = 1 / (1 + np.exp(-SCORES))


def head(kind: pb.HeadKind, *, output: str = "out", num_classes: int = 4, single: bool = False) -> pb.Head:
    return pb.Head(score_tensor="y", output_name=output, kind=kind, num_classes=num_classes, single_logit=single)


@pytest.mark.parametrize(
    ("kind", "output", "name", "probabilities"),
    [
        (pb.HEAD_KIND_NONE, SCORES, "y", SOFTMAX),
        (pb.HEAD_KIND_UNSPECIFIED, SCORES, "out", SOFTMAX),
        (pb.HEAD_KIND_SOFTMAX, SOFTMAX, "out", SOFTMAX),
        (pb.HEAD_KIND_SOFTMAX, SCORES, "y", SOFTMAX),
        (pb.HEAD_KIND_LOG_SOFTMAX, np.log(SOFTMAX), "out", SOFTMAX),
        (pb.HEAD_KIND_SIGMOID, SIGMOID, "out", SIGMOID),
        (pb.HEAD_KIND_SIGMOID, SCORES, "y", SIGMOID),
    ],
)
def test_scores_and_probabilities(kind: pb.HeadKind, output: np.ndarray, name: str, probabilities: np.ndarray) -> None:
    values = read_head(output[None, :, None, None].astype(np.float32)[0], head(kind, output=name), {3: 0.5})
    np.testing.assert_allclose(values.scores, SCORES, rtol=1e-5)
    np.testing.assert_allclose(values.probabilities, probabilities, rtol=1e-6)
    assert values.best(3) == [1, 0, 3]


@pytest.mark.parametrize("is_broken", [False, True])
def test_the_best_are_those_of_a_full_sort(is_broken: bool) -> None:
    """Of values that are often equal, and with some that are not a number, whose order does not matter."""
    rng = np.random.default_rng()
    for _ in range(200):
        size = int(rng.integers(1, 30))
        scores, probabilities = rng.integers(0, 4, size) * 1.0, rng.integers(0, 4, size) / 4
        if is_broken:
            probabilities[rng.integers(0, size, 2)] = np.nan
        winner = int(rng.integers(size))
        numbers = [at for at in range(size) if not np.isnan(probabilities[at])]
        order = sorted(numbers, key=lambda at: (-probabilities[at], at != winner, -scores[at], at))
        count = int(rng.integers(0, len(order) + 1))
        assert ClassValues(scores, probabilities, winner).best(count) == order[:count]


def test_a_single_logit_speaks_for_two_classes() -> None:
    for kind, output, name in (
        (pb.HEAD_KIND_NONE, 2.0, "y"),
        (pb.HEAD_KIND_SIGMOID, 1 / (1 + np.exp(-2.0)), "out"),
    ):
        spec = head(kind, output=name, num_classes=2, single=True)
        values = read_head(np.array([output]), spec, {1: 2.0})
        np.testing.assert_allclose(values.scores, [-2, 2])
        np.testing.assert_allclose(values.probabilities, [1 / (1 + np.exp(2)), 1 / (1 + np.exp(-2))])


def test_huge_scores_do_not_overflow() -> None:
    values = read_head(np.array([1e4, -1e4, 0, 9e3], np.float32), head(pb.HEAD_KIND_NONE), {0: 1e4})
    np.testing.assert_allclose(values.probabilities, [1, 0, 0, 0])
    single = read_head(np.array([-1e4]), head(pb.HEAD_KIND_NONE, num_classes=2, single=True), {0: 1e4})
    np.testing.assert_allclose(single.probabilities, [1, 0])


def test_underflow_leaves_known_scores_exact() -> None:
    values = read_head(np.array([1, 0, 0, 0], np.float32), head(pb.HEAD_KIND_SOFTMAX), {0: 400.0, 2: 3.0})
    assert values.scores.tolist() == [400, -np.inf, 3, -np.inf]
    lost = read_head(np.array([1, 0, 0, 0], np.float32), head(pb.HEAD_KIND_SOFTMAX), {2: 3.0})
    assert lost.scores[2] == 3
    assert np.isnan(lost.scores[0])
    assert lost.best(1) == [0]


def test_ties_go_to_the_lower_index() -> None:
    values = read_head(np.array([1, 2, 2, 0], np.float32), head(pb.HEAD_KIND_NONE), {1: 2.0})
    assert values.best(10) == [1, 2, 0, 3]


def test_of_classes_whose_probability_was_rounded_to_one_the_graph_knows_the_best():
    output = np.array([1.0, 0.2, 1.0], np.float32)
    head = pb.Head(kind=pb.HEAD_KIND_SIGMOID, output_name="p", score_tensor="y", num_classes=3)
    assert read_head(output, head, {2: 277.0}, winner=2).best(3) == [2, 0, 1]
    assert read_head(output, head, {2: 277.0}).best(3) == [0, 2, 1]  # nobody asked which is the best


def test_another_number_of_classes_is_the_graphs_fault() -> None:
    with pytest.raises(InvalidGraphError, match="4 values per image, but the manifest says 7"):
        read_head(SCORES, head(pb.HEAD_KIND_NONE, num_classes=7), {0: 1.0})
