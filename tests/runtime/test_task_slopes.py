"""Every task, through graphs that the exporter wrote: weights, methods, contrast, sign, and fusion."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from camgraph_core.errors import UnsupportedError, UsageError
from camgraph_core.place import Box, Direction, Mask
from camgraph_core.request import Request
from camgraph_runtime import Explainer, Target
from camgraph_runtime.maps.cam import METHODS
from camgraph_runtime.maps.profiles import pytorch_grad_cam
from camgraph_runtime.tasks.feeds import target_feeds
from support.tasks import (
    IMAGE,
    MASK,
    ONE,
    SIDE,
    TASKS,
    TWO,
    Score,
    Tail,
    assert_close,
    export_task,
    load,
)

# For each task: two targets, and what their scores are.
TARGETS: dict[str, tuple[tuple[dict[str, Any], Score], tuple[dict[str, Any], Score]]] = {
    "segmentation": (
        ({"selector": 1, "place": Mask(MASK)}, lambda y: float(y[1][MASK == 1].sum())),
        ({"selector": 2}, lambda y: float(y[2][MASK == 1].sum())),
    ),
    "detection": (
        ({"selector": 3, "place": Box(77)}, lambda y: float(y[77, 3])),
        ({"selector": 0}, lambda y: float(y[77, 0])),
    ),
    "embedding": (
        ({"place": Direction(ONE)}, lambda y: float(y @ ONE.astype(np.float64))),
        ({"place": Direction(TWO)}, lambda y: float(y @ TWO.astype(np.float64))),
    ),
    "regression": (
        ({"selector": "more"}, lambda y: float(y[0])),
        ({"selector": 0}, lambda y: -float(y[0])),
    ),
    "dense-regression": (
        ({"selector": "more", "place": Mask(MASK)}, lambda y: float(y[MASK == 1].sum())),
        ({"selector": 0}, lambda y: -float(y[MASK == 1].sum())),
    ),
}


@pytest.fixture(params=TASKS)
def task(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def explainer(task: str, task_graphs: dict[str, Explainer]) -> Explainer:
    return task_graphs[task]


@pytest.fixture
def tail(task: str, task_folder: Path) -> Callable[[str], Tail]:
    return lambda layer: Tail(task_folder / f"{task}.source.onnx", layer, TASKS[task].score, IMAGE)


def targets_of(task: str) -> tuple[Target, Target, Target, Target]:
    """Plain; negative; against the other; against the other and negative. The other takes over mask and box."""
    (one, _), (two, _) = TARGETS[task]
    other = Target(**two)
    return (
        Target(**one),
        Target(**one, negative=True),
        Target(**one, contrast=other),
        Target(**one, contrast=other, negative=True),
    )


def scores_of(task: str) -> list[Score]:
    (_, one), (_, two) = TARGETS[task]
    return [one, lambda y: -one(y), lambda y: one(y) - two(y), lambda y: two(y) - one(y)]


def test_weights_and_gradients_are_the_slopes_of_the_scores(
    task: str, explainer: Explainer, tail: Callable[[str], Tail]
) -> None:
    for layer in TASKS[task].layers:
        result = explainer.explain(tensor=IMAGE, targets=targets_of(task), layers=[layer], method="hires-cam")
        cut = tail(layer)
        for explanation, score in zip(result.explanations, scores_of(task), strict=True):
            activations = explanation.activations[0]
            assert_close(explanation.weights[0], cut.weights(activations, score))
            # Along A itself the slope is the sum of the HiResCAM map.
            along = cut.slope(activations, activations.astype(np.float64), score)
            assert explanation.raw_map.sum(dtype=np.float64) == pytest.approx(along, rel=1e-3, abs=1e-4)


def test_scores_are_those_of_the_model(task: str, explainer: Explainer, tail: Callable[[str], Tail]) -> None:
    result = explainer.explain(tensor=IMAGE, targets=targets_of(task))
    values = tail(TASKS[task].layers[0]).scores(result.explanations[0].activations[0])
    (_, one), (_, two) = TARGETS[task]
    for explanation in result.explanations:
        assert explanation.target.score == pytest.approx(one(values), rel=1e-4)
    for explanation in result.explanations[2:]:
        assert explanation.contrast is not None
        assert explanation.contrast.score == pytest.approx(two(values), rel=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_on_the_exported_gradients(task: str, explainer: Explainer, method: str) -> None:
    plain, negative, contrast, both = targets_of(task)
    targets = [plain] if method == "guided-grad-cam" else [plain, negative, contrast, both]
    layers = list(TASKS[task].layers)
    result = explainer.explain(tensor=IMAGE, targets=targets, method=method, layers=layers)
    for layer_number, layer in enumerate(explainer.manifest.layers):
        gradients = _gradients(explainer, targets, layer.gradients_tensor)
        for explanation, g in zip(result.explanations, gradients, strict=True):
            a = explanation.activations[layer_number]
            expected = METHODS[method](a, g.mean(axis=(1, 2)), g)
            scale = np.abs(expected).max()
            np.testing.assert_allclose(explanation.raw_maps[layer_number], expected, rtol=0, atol=1e-4 * scale)
    for explanation in result.explanations:
        assert explanation.layers == tuple(layers)
        np.testing.assert_array_equal(explanation.heatmap, pytorch_grad_cam(explanation.raw_maps, (SIDE, SIDE)))


def _gradients(explainer: Explainer, targets: list[Target], tensor: str) -> list[np.ndarray]:
    """Gradients of the targets' scores: of the graph's own output, put together by hand."""
    subject = explainer.accept(IMAGE)
    plan = explainer.fit(explainer.plan(Request(targets=targets, method="hires-cam")), subject)
    feeds = {"image": IMAGE, **target_feeds(explainer.task, [plan.slots])}
    whole = explainer.engine.run(feeds, [tensor])[tensor][0]
    assert len(whole) == len({pair for pairs in plan.pairs for pair in pairs if pair is not None})
    one = whole[0]
    return [one, -one, one - whole[-1], whole[-1] - one][: len(targets)]


def test_linear_methods_subtract_the_maps_of_a_contrast(task: str, explainer: Explainer) -> None:
    (one, _), (two, _) = TARGETS[task]
    shared = {name: one[name] for name in ("place",) if name in one}
    alone = [Target(**one), Target(**{**shared, **two}), Target(**one, contrast=Target(**two))]
    for method in ("grad-cam", "hires-cam"):
        first, second, difference = explainer.explain(tensor=IMAGE, targets=alone, method=method).explanations
        scale = np.abs(first.raw_map).max()
        np.testing.assert_allclose(difference.raw_map, first.raw_map - second.raw_map, rtol=0, atol=1e-5 * scale)


def test_many_targets_equal_single_runs(task: str, explainer: Explainer) -> None:
    targets = targets_of(task)
    together = explainer.explain(tensor=IMAGE, targets=targets, method="layer-cam").explanations
    for target, explanation in zip(targets, together, strict=True):
        [alone] = explainer.explain(tensor=IMAGE, targets=[target], method="layer-cam").explanations
        np.testing.assert_allclose(alone.raw_map, explanation.raw_map, rtol=1e-4, atol=1e-6)
        assert alone.title == explanation.title


def test_a_batch_of_images_with_their_own_targets(task: str, explainer: Explainer) -> None:
    other = np.random.default_rng(2).normal(size=IMAGE.shape).astype(np.float32)
    wishes = [(IMAGE, targets_of(task)[:1]), (other, targets_of(task)[2:])]
    subjects = [explainer.accept(tensor) for tensor, _ in wishes]
    plans = [
        explainer.fit(explainer.plan(Request(targets=targets)), subject)
        for (_, targets), subject in zip(wishes, subjects, strict=True)
    ]
    inferences = explainer.infer(subjects, plans)
    for (tensor, targets), plan, subject, inference in zip(wishes, plans, subjects, inferences, strict=True):
        together = explainer.finish(plan, subject, inference)
        alone = explainer.explain(tensor=tensor, targets=targets)
        assert len(together.explanations) == len(targets)
        for one, two in zip(together.explanations, alone.explanations, strict=True):
            assert one.target.class_index == two.target.class_index
            np.testing.assert_allclose(one.raw_map, two.raw_map, rtol=1e-4, atol=1e-5)


def test_graphs_without_gradients_say_what_they_lack(task_folder: Path) -> None:
    options = ("--preset", "zero-one", "--no-gradients")
    bare = load(export_task("segmentation", _made(task_folder / "bare"), *options))
    assert bare.manifest.default_method == "grad-cam"
    with pytest.raises(UnsupportedError, match=r"needs the full gradients of mid, .* --gradients"):
        bare.explain(tensor=IMAGE, method="layer-cam")
    with pytest.raises(UnsupportedError, match=r"needs the guided image gradient, .* --guided"):
        bare.explain(tensor=IMAGE, method="guided-grad-cam")


def test_predictions_alone_cost_no_gradients(task_folder: Path) -> None:
    path = export_task("detection", _made(task_folder / "skippable"), "--preset", "zero-one", "--skippable")
    skippable = load(path)
    assert skippable.manifest.explain_switch
    seen: list[bool] = []
    run = skippable.engine.run

    def watched(feeds: dict[str, np.ndarray], *rest: Any) -> dict[str, np.ndarray]:
        seen.append(bool(feeds[skippable.manifest.explain_switch]))
        return run(feeds, *rest)

    skippable.engine.run = watched  # type: ignore[method-assign, assignment]  # a spy
    predicted = skippable.predict(tensor=IMAGE, num_predictions=3)
    explained = skippable.explain(tensor=IMAGE, num_predictions=3)
    assert seen == [False, True]
    assert predicted.predictions == explained.predictions
    assert predicted.explanations == []


def test_guided_grad_cam_takes_no_contrast_sign_or_raw_profile(task_graphs: dict[str, Explainer]) -> None:
    explainer = task_graphs["segmentation"]
    for target in (Target.index(0, negative=True), Target.index(0, contrast=Target.index(1))):
        with pytest.raises(UsageError, match="takes neither contrast nor negative"):
            explainer.explain(tensor=IMAGE, targets=[target], method="guided-grad-cam")
    with pytest.raises(UsageError, match="leave the profile raw out"):
        explainer.explain(tensor=IMAGE, method="guided-grad-cam", profile="raw")


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
