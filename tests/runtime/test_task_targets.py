"""What targets of each task may name, and what predictions say, through graphs that the exporter wrote."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from camgraph_core.errors import TargetError, UnsupportedError
from camgraph_core.explanation import Explanation
from camgraph_core.place import Box, Mask
from camgraph_core.result import ClassScore
from camgraph_runtime import Explainer, Target
from support.nets import Net, trunk
from support.tasks import (
    BOXES,
    DETECT_LABELS,
    IMAGE,
    MASK,
    ONE,
    TASKS,
    detector,
    export_model,
    load,
)


@pytest.fixture(params=TASKS)
def task(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def explainer(task: str, task_graphs: dict[str, Explainer]) -> Explainer:
    return task_graphs[task]


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
        ("dense-regression", "anchor"),
        ("dense-regression", "cotangent"),
    ],
)
def test_what_a_task_does_not_take_is_refused(task: str, explainer: Explainer, wrong: str) -> None:
    targets = {"mask": Target(place=Mask(MASK)), "anchor": Target(place=Box(3)), "cotangent": Target.direction(ONE)}
    targets["class"] = Target.index(1)
    with pytest.raises(
        UnsupportedError, match=rf"names an? {wrong}, which takes a graph for [\w, -]+; this graph is for {task}"
    ):
        explainer.explain(tensor=IMAGE, targets=[targets[wrong]])


def test_an_embedding_needs_directions(task_graphs: dict[str, Explainer]) -> None:
    explainer = task_graphs["embedding"]
    with pytest.raises(TargetError, match="give every target and contrast a cotangent of 6 numbers"):
        explainer.explain(tensor=IMAGE, targets=[Target()])
    with pytest.raises(TargetError, match="give every target and contrast"):
        explainer.explain(tensor=IMAGE, targets=[Target.direction(ONE, contrast=Target())])
    with pytest.raises(TargetError, match="has 5 numbers, but the embedding has 6"):
        explainer.explain(tensor=IMAGE, targets=[Target.direction(ONE[:5])])
    with pytest.raises(UnsupportedError, match="no best classes"):
        explainer.explain(tensor=IMAGE, top_k=1)
    result = explainer.explain(tensor=IMAGE, targets=[Target.direction(ONE)])
    assert result.predictions == []
    assert result.explanations[0].title == "direction"
    assert np.isnan(result.explanations[0].target.probability)


def test_boxes_are_named_by_index_and_rank(task_graphs: dict[str, Explainer], task_folder: Path) -> None:
    explainer = task_graphs["detection"]
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


def test_boxes_in_one_output_with_their_coordinates(task_graphs: dict[str, Explainer], task_folder: Path) -> None:
    onnx.save(detector(joined=True), task_folder / "joined.source.onnx")
    (task_folder / "joined.txt").write_text("\n".join(DETECT_LABELS))
    options = ("--layer", "last", "--labels", task_folder / "joined.txt", "--preset", "zero-one")
    export_model(task_folder / "joined.source.onnx", task_folder / "joined.onnx", *options)
    targets = [Target.of_label("bus"), Target.of_rank(1), Target.index(2, place=Box(9))]
    apart, joined = (
        explainer.explain(tensor=IMAGE, targets=targets, num_predictions=6)
        for explainer in (task_graphs["detection"], load(task_folder / "joined.onnx"))
    )
    assert joined.warnings == []
    for found, expected in ((joined.predictions, apart.predictions), (joined.explanations, apart.explanations)):
        assert [_named(item) for item in found] == [_named(item) for item in expected]


def test_a_model_that_gives_only_the_index_of_the_best_class(task_folder: Path) -> None:
    net = Net(seed=5)
    logits = net.pooled_head(trunk(net, net.image()), 16, 5)
    best = net.model(net.node("ArgMax", logits, axis=1, name="best"), shapes={"best": ("N", 1)})
    best.graph.output[0].type.tensor_type.elem_type = onnx.TensorProto.INT64
    tensor = np.random.default_rng(3).normal(size=(1, 3, 16, 16)).astype(np.float32)
    results = []
    for name, model in (("best", best), ("scores", net.model(logits))):
        onnx.save(model, task_folder / f"{name}.source.onnx")
        export_model(task_folder / f"{name}.source.onnx", task_folder / f"{name}.onnx", "--layer", "last")
        results.append(load(task_folder / f"{name}.onnx").explain(tensor=tensor, top_k=2, num_predictions=3))
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


def test_a_regression_shows_a_value_and_neither_classes_nor_probabilities(task_graphs: dict[str, Explainer]) -> None:
    explainer = task_graphs["regression"]
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


def test_one_number_has_two_targets_and_no_ranks(task_graphs: dict[str, Explainer]) -> None:
    explainer = task_graphs["regression"]
    ranked = explainer.explain(tensor=-IMAGE, top_k=2).explanations
    assert [explanation.title for explanation in ranked] == ["more", "less"], "whatever the number is"
    with pytest.raises(TargetError, match="There is no target 2: the model gives one number; give 1 for more of it"):
        explainer.explain(tensor=IMAGE, targets=[Target.index(2)])
    with pytest.raises(TargetError, match="top_k is 3, but the model has 2 targets"):
        explainer.explain(tensor=IMAGE, top_k=3)


def test_several_numbers_are_shown_in_their_own_order(task_folder: Path) -> None:
    net = Net(seed=3)
    pose = net.pooled_head(trunk(net, net.image()), 16, 3, name="pose")
    onnx.save(net.model(pose, shapes={pose: ("N", 3)}), task_folder / "pose.onnx")
    (task_folder / "pose.txt").write_text("yaw\npitch\nroll")
    options = ("--task", "regression", "--labels", task_folder / "pose.txt", "--preset", "raw")
    export_model(task_folder / "pose.onnx", task_folder / "pose.cam.onnx", *options)
    explainer, tensor = load(task_folder / "pose.cam.onnx"), np.ones((1, 3, 16, 16), np.float32)
    result = explainer.explain(tensor=tensor, targets=[Target.of_label("roll"), Target(), Target.of_rank(2)])
    numbers = explainer.engine.run({"image": tensor, "target": np.array([[0]])}, ["pose"])["pose"][0]
    assert [item.label for item in result.predictions] == ["yaw", "pitch", "roll"]
    assert [item.value for item in result.predictions] == pytest.approx(numbers.tolist())
    assert [item.title for item in result.explanations] == ["roll", "yaw", "pitch"]
    assert [item.target.score for item in result.explanations] == pytest.approx([numbers[i] for i in (2, 0, 1)])
    with pytest.raises(TargetError, match="no target 3: the model gives 3 numbers; give an index from 0 to 2"):
        explainer.explain(tensor=tensor, targets=[Target.index(3)])
