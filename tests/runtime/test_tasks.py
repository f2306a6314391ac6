"""Every task, through graphs that the exporter wrote: weights, methods, contrast, sign, fusion, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from camgraph_core.errors import TargetError, UnsupportedError, UsageError
from camgraph_core.explanation import Explanation
from camgraph_core.place import Box, Direction, Mask
from camgraph_core.request import Request
from camgraph_core.result import ClassScore
from camgraph_runtime import Explainer, Target
from camgraph_runtime.maps.cam import METHODS
from camgraph_runtime.maps.profiles import pytorch_grad_cam
from camgraph_runtime.tasks.feeds import target_feeds
from support.nets import Net, trunk
from support.tasks import (
    BOXES,
    DETECT_LABELS,
    EMBEDDING,
    SIDE,
    TASKS,
    Score,
    Tail,
    assert_close,
    detector,
    export_model,
    export_task,
    load,
)

IMAGE = np.random.default_rng(0).normal(size=(1, 3, SIDE, SIDE)).astype(np.float32)
RANDOM = np.random.default_rng(1)
MASK = np.zeros((SIDE, SIDE), np.uint8)
MASK[4:15, 10:30] = 1
ONE, TWO = (RANDOM.normal(size=EMBEDDING).astype(np.float32) for _ in range(2))

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
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tasks")


@pytest.fixture(scope="module")
def graphs(folder: Path) -> dict[str, Explainer]:
    return {name: load(export_task(name, folder)) for name in TASKS}


@pytest.fixture(params=TASKS)
def task(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def explainer(task: str, graphs: dict[str, Explainer]) -> Explainer:
    return graphs[task]


@pytest.fixture
def tail(task: str, folder: Path) -> Callable[[str], Tail]:
    return lambda layer: Tail(folder / f"{task}.source.onnx", layer, TASKS[task].score, IMAGE)


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
    other = RANDOM.normal(size=IMAGE.shape).astype(np.float32)
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


@pytest.mark.parametrize(
    ("task", "wrong"),
    [
        ("segmentation", "anchor"),
        ("segmentation", "cotangent"),
        ("detection", "mask"),
        ("detection", "cotangent"),
        ("embedding", "mask"),
        ("embedding", "anchor"),
        ("embedding", "class"),
        ("regression", "mask"),
        ("regression", "anchor"),
        ("regression", "cotangent"),
    ],
)
def test_what_a_task_does_not_take_is_refused(task: str, explainer: Explainer, wrong: str) -> None:
    targets = {"mask": Target(place=Mask(MASK)), "anchor": Target(place=Box(3)), "cotangent": Target.direction(ONE)}
    targets["class"] = Target.index(1)
    with pytest.raises(
        UnsupportedError, match=rf"names an? {wrong}, which takes a graph for \w+; this graph is for {task}"
    ):
        explainer.explain(tensor=IMAGE, targets=[targets[wrong]])


def test_graphs_without_gradients_say_what_they_lack(folder: Path) -> None:
    bare = load(export_task("segmentation", _made(folder / "bare"), "--preset", "zero-one"))
    with pytest.raises(UnsupportedError, match=r"needs the full gradients of mid, .* --gradients"):
        bare.explain(tensor=IMAGE, method="layer-cam")
    with pytest.raises(UnsupportedError, match=r"needs the guided image gradient, .* --guided"):
        bare.explain(tensor=IMAGE, method="guided-grad-cam")


def test_predictions_alone_cost_no_gradients(folder: Path) -> None:
    path = export_task("detection", _made(folder / "skippable"), "--preset", "zero-one", "--skippable")
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


def test_an_embedding_needs_directions(graphs: dict[str, Explainer]) -> None:
    explainer = graphs["embedding"]
    with pytest.raises(TargetError, match="give every target and contrast a cotangent of 6 numbers"):
        explainer.explain(tensor=IMAGE)
    with pytest.raises(TargetError, match="give every target and contrast"):
        explainer.explain(tensor=IMAGE, targets=[Target.direction(ONE, contrast=Target())])
    with pytest.raises(TargetError, match="has 5 numbers, but the embedding has 6"):
        explainer.explain(tensor=IMAGE, targets=[Target.direction(ONE[:5])])
    with pytest.raises(UnsupportedError, match="no best classes"):
        explainer.explain(tensor=IMAGE, top_k=1)
    with pytest.raises(UnsupportedError, match="predicts no classes"):
        explainer.predict(tensor=IMAGE)
    result = explainer.explain(tensor=IMAGE, targets=[Target.direction(ONE)])
    assert result.predictions == []
    assert result.explanations[0].title == "direction"
    assert np.isnan(result.explanations[0].target.probability)


def test_boxes_are_named_by_index_and_rank(graphs: dict[str, Explainer], folder: Path) -> None:
    explainer = graphs["detection"]
    scores = explainer.engine.run(
        {"image": IMAGE, "target": np.zeros((1, 1), np.int64), "anchor": np.zeros((1, 1), np.int64)}, ["scores"]
    )["scores"][0].astype(np.float64)
    logits = np.log(scores) - np.log1p(-scores)
    targets = [
        Target.of_label("bus"),
        Target.of_label("bus", place=Box(rank=4)),
        Target.index(2, place=Box(BOXES - 1)),
        Target.of_rank(2),
    ]
    result = explainer.explain(tensor=IMAGE, targets=targets, num_predictions=6)
    by_bus = np.argsort(-logits[:, 1], kind="stable")
    second = int(np.argsort(-logits.max(axis=0))[1])
    expected = [(1, by_bus[0]), (1, by_bus[3]), (2, BOXES - 1), (second, logits[:, second].argmax())]
    for explanation, (index, box) in zip(result.explanations, expected, strict=True):
        assert (explanation.target.class_index, explanation.target.anchor) == (index, box)
        assert explanation.target.score == pytest.approx(logits[box, index], abs=1e-4)
        assert explanation.target.probability == pytest.approx(scores[box, index], abs=1e-6)
    assert result.explanations[0].title == f"bus, box {by_bus[0]}"

    best = np.argsort(-scores.max(axis=1), kind="stable")[:6]
    assert [(p.anchor, p.class_index) for p in result.predictions] == [(b, scores[b].argmax()) for b in best]
    np.testing.assert_allclose([p.score for p in result.predictions], logits[best].max(axis=1), atol=1e-4)
    assert result.warnings == []

    with pytest.raises(TargetError, match=f"no box {BOXES}: the model has {BOXES} boxes"):
        explainer.explain(tensor=IMAGE, targets=[Target.index(0, place=Box(BOXES))])
    with pytest.raises(TargetError, match="no box of rank 129"):
        explainer.explain(tensor=IMAGE, targets=[Target.index(0, place=Box(rank=BOXES + 1))])


def test_boxes_in_one_output_with_their_coordinates(graphs: dict[str, Explainer], folder: Path) -> None:
    onnx.save(detector(joined=True), folder / "joined.source.onnx")
    (folder / "joined.txt").write_text("\n".join(DETECT_LABELS))
    options = ("--layer", "last", "--labels", folder / "joined.txt", "--preset", "zero-one")
    export_model(folder / "joined.source.onnx", folder / "joined.onnx", *options)
    targets = [Target.of_label("bus"), Target.of_rank(1), Target.index(2, place=Box(9))]
    apart, joined = (
        explainer.explain(tensor=IMAGE, targets=targets, num_predictions=6)
        for explainer in (graphs["detection"], load(folder / "joined.onnx"))
    )
    assert joined.warnings == []
    for found, expected in ((joined.predictions, apart.predictions), (joined.explanations, apart.explanations)):
        assert [_named(item) for item in found] == [_named(item) for item in expected]


def test_a_model_that_gives_only_the_index_of_the_best_class(folder: Path) -> None:
    net = Net(seed=5)
    logits = net.pooled_head(trunk(net, net.image()), 16, 5)
    best = net.model(net.node("ArgMax", logits, axis=1, name="best"), shapes={"best": ("N", 1)})
    best.graph.output[0].type.tensor_type.elem_type = onnx.TensorProto.INT64
    tensor = np.random.default_rng(3).normal(size=(1, 3, 16, 16)).astype(np.float32)
    results = []
    for name, model in (("best", best), ("scores", net.model(logits))):
        onnx.save(model, folder / f"{name}.source.onnx")
        export_model(folder / f"{name}.source.onnx", folder / f"{name}.onnx", "--layer", "last")
        results.append(load(folder / f"{name}.onnx").explain(tensor=tensor, top_k=2, num_predictions=3))
    found, expected = results
    assert [p.class_index for p in found.predictions] == [expected.predictions[0].class_index]
    assert "the best classes cannot be listed" in found.warnings[0]
    for one, other in zip(found.explanations, expected.explanations, strict=True):
        assert one.target.class_index == other.target.class_index
        assert one.target.score == pytest.approx(other.target.score, abs=1e-5)
        assert np.isnan(one.target.probability)
        np.testing.assert_allclose(one.heatmap, other.heatmap, atol=1e-5)


def _named(item: ClassScore | Explanation) -> tuple[str, int, int, float, float]:
    of = item.target if isinstance(item, Explanation) else item
    return of.label, of.class_index, of.anchor, round(of.score, 4), round(of.probability, 5)


def test_guided_grad_cam_takes_no_contrast_sign_or_raw_profile(graphs: dict[str, Explainer]) -> None:
    explainer = graphs["segmentation"]
    for target in (Target.index(0, negative=True), Target.index(0, contrast=Target.index(1))):
        with pytest.raises(UsageError, match="takes neither contrast nor negative"):
            explainer.explain(tensor=IMAGE, targets=[target], method="guided-grad-cam")
    with pytest.raises(UsageError, match="leave the profile raw out"):
        explainer.explain(tensor=IMAGE, method="guided-grad-cam", profile="raw")


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_a_regression_shows_a_value_and_neither_classes_nor_probabilities(graphs: dict[str, Explainer]) -> None:
    explainer = graphs["regression"]
    result = explainer.explain(tensor=IMAGE, targets=[Target(), Target.of_label("less")], num_predictions=5)
    [value] = explainer.engine.run({"image": IMAGE, "target": np.array([[-1]])}, ["years"])["years"]
    [prediction] = result.predictions
    assert prediction.value == pytest.approx(float(value))
    assert prediction.name == "value"
    assert prediction.note == f"value {value:.2f}"
    assert np.isnan(prediction.probability)
    more, less = result.explanations
    assert (more.title, less.title) == ("more", "less")
    assert more.note == f"value {value:.2f}"
    assert more.target.score == pytest.approx(float(value))
    assert less.target.score == pytest.approx(-float(value))
    np.testing.assert_array_equal(less.weights[0], -more.weights[0])
    assert explainer.predict(tensor=IMAGE).predictions == result.predictions


def test_one_number_has_two_targets_and_no_ranks(graphs: dict[str, Explainer]) -> None:
    explainer = graphs["regression"]
    ranked = explainer.explain(tensor=-IMAGE, top_k=2).explanations
    assert [explanation.title for explanation in ranked] == ["more", "less"], "whatever the number is"
    with pytest.raises(TargetError, match="There is no target 2: the model gives one number; give 1 for more of it"):
        explainer.explain(tensor=IMAGE, targets=[Target.index(2)])
    with pytest.raises(TargetError, match="top_k is 3, but the model has 2 targets"):
        explainer.explain(tensor=IMAGE, top_k=3)


def test_several_numbers_are_shown_in_their_own_order(folder: Path) -> None:
    net = Net(seed=3)
    pose = net.pooled_head(trunk(net, net.image()), 16, 3, name="pose")
    onnx.save(net.model(pose, shapes={pose: ("N", 3)}), folder / "pose.onnx")
    (folder / "pose.txt").write_text("yaw\npitch\nroll")
    options = ("--task", "regression", "--labels", folder / "pose.txt", "--preset", "raw")
    export_model(folder / "pose.onnx", folder / "pose.cam.onnx", *options)
    explainer, tensor = load(folder / "pose.cam.onnx"), np.ones((1, 3, 16, 16), np.float32)
    result = explainer.explain(tensor=tensor, targets=[Target.of_label("roll"), Target(), Target.of_rank(2)])
    numbers = explainer.engine.run({"image": tensor, "target": np.array([[0]])}, ["pose"])["pose"][0]
    assert [item.label for item in result.predictions] == ["yaw", "pitch", "roll"]
    assert [item.value for item in result.predictions] == pytest.approx(numbers.tolist())
    assert [item.title for item in result.explanations] == ["roll", "yaw", "pitch"]
    assert [item.target.score for item in result.explanations] == pytest.approx([numbers[i] for i in (2, 0, 1)])
    with pytest.raises(TargetError, match="no target 3: the model gives 3 numbers; give an index from 0 to 2"):
        explainer.explain(tensor=tensor, targets=[Target.index(3)])
