"""Images of several threads in one run of the graph: the same results as one by one."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from camgraph_runtime import Batching, Engine, Explainer, InferenceError, Result, Target
from support.tiny_explainer import load
from support.tiny_graph import TinyGraph

SECONDS = 0.3
"""That a batch waits for images: long enough for those that a test sends at the same time."""

ONE_BY_ONE = {"rtol": 1e-5, "atol": 1e-6}
"""A product of matrices may add in another order for another batch."""


class Recorded(Engine):
    """An engine that remembers the batch and the number of targets of each run; `fails_at` is a batch that fails."""

    def __init__(self, graph: TinyGraph, fails_at: int = 0) -> None:
        super().__init__(graph.serialize())
        self.runs: list[tuple[int, int]] = []
        self._fails_at = fails_at

    def run(self, feeds: Any, *more: Any) -> Any:
        batch, columns = feeds["target"].shape
        self.runs.append((batch, columns))
        if batch == self._fails_at:
            raise InferenceError("The device is out of memory.")
        return super().run(feeds, *more)


def image(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(1, 3, 16, 16)).astype(np.float32)


def explain_at_once(explainer: Explainer, requests: Sequence[dict[str, Any]]) -> list[Result]:
    with ThreadPoolExecutor(len(requests)) as pool:
        return list(pool.map(lambda request: explainer.explain(**request), requests))


def check_same(results: Sequence[Result], requests: Sequence[dict[str, Any]], graph: TinyGraph) -> None:
    alone = load(graph)
    for result, request in zip(results, requests, strict=True):
        expected = alone.explain(**request)
        assert [score.class_index for score in result.predictions] == [
            score.class_index for score in expected.predictions
        ]
        for given, wanted in zip(result.explanations, expected.explanations, strict=True):
            np.testing.assert_allclose(given.raw_maps[0], wanted.raw_maps[0], **ONE_BY_ONE)
            np.testing.assert_allclose(given.heatmap, wanted.heatmap, **ONE_BY_ONE)


@pytest.mark.parametrize(
    ("batch", "images", "runs"),
    [
        ("N", 4, [(4, 1)]),
        ("N", 3, [(4, 1)]),  # filled up to the next size
        (4, 4, [(4, 1)]),
        (4, 2, [(4, 1)]),
        (1, 2, [(1, 1), (1, 1)]),  # such a graph takes no batch
    ],
)
def test_images_run_together_and_get_their_own_results(batch: int | str, images: int, runs: list[Any]) -> None:
    graph = TinyGraph(batch=batch)
    engine = Recorded(graph)
    explainer = Explainer(engine, batching=Batching(4, SECONDS))
    requests = [{"tensor": image(seed), "targets": [Target.index(seed)]} for seed in range(images)]
    check_same(explain_at_once(explainer, requests), requests, graph)
    assert engine.runs == runs


def test_nobody_pays_for_what_others_ask_for() -> None:
    """Many targets, other outputs and predictions alone are runs of their own."""
    graph = TinyGraph()
    engine = Recorded(graph)
    explainer = Explainer(engine, batching=Batching(8, SECONDS))
    requests: list[dict[str, Any]] = [
        {"tensor": image(0), "targets": [Target.index(0)]},
        {"tensor": image(1), "targets": [Target.index(1)]},
        {"tensor": image(2), "targets": [Target.index(number) for number in range(5)]},
        {"tensor": image(3), "targets": [Target.index(1)], "method": "hires-cam"},
        {"tensor": image(4), "targets": [Target.index(2)], "layers": ["conv"]},
    ]
    check_same(explain_at_once(explainer, requests), requests, graph)
    assert sorted(engine.runs) == [(1, 1), (1, 1), (1, 5), (2, 1)]


def test_images_of_a_batch_that_fails_run_one_by_one() -> None:
    graph = TinyGraph()
    engine = Recorded(graph, fails_at=2)
    requests = [{"tensor": image(seed)} for seed in range(2)]
    check_same(explain_at_once(Explainer(engine, batching=Batching(2, SECONDS)), requests), requests, graph)
    assert engine.runs == [(2, 1), (1, 1), (1, 1)]


def test_without_batching_each_image_runs_by_itself() -> None:
    engine = Recorded(TinyGraph())
    explainer = Explainer(engine)
    assert explainer.batch_sizes == ()
    explain_at_once(explainer, [{"tensor": image(seed)} for seed in range(3)])
    assert engine.runs == [(1, 1)] * 3
