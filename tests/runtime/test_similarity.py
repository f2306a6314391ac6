"""Likeness to other images: scores and gradients against PyTorch's, and what cannot be compared."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from camgraph_core.errors import TargetError
from camgraph_core.place import MOST_REFERENCES, References
from camgraph_core.request import Request
from camgraph_runtime import Explainer, Target
from camgraph_runtime.run.engine import Engine
from camgraph_runtime.tasks.similarity import Likeness, likeness
from support.tasks import EMBEDDING, IMAGE, ONE, TASKS, TWO, Tail, assert_close

torch = pytest.importorskip("torch")

BOTH = np.stack([ONE, TWO])


def cosine(y: Any, rows: np.ndarray) -> float:
    """By the definition, in float64: to the mean of the directions."""
    mean = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float64).mean(axis=0)
    return float(y @ mean / np.linalg.norm(y) / np.linalg.norm(mean))


@pytest.fixture
def explainer(task_graphs: dict[str, Explainer]) -> Explainer:
    return task_graphs["embedding"]


def test_the_embedding_is_an_output(explainer: Explainer) -> None:
    result = explainer.explain(tensor=IMAGE)
    assert result.explanations == []
    assert result.embedding is not None
    assert result.embedding.dtype == np.float32
    source = explainer.engine.run({"image": IMAGE, "cotangent": np.zeros((1, 1, EMBEDDING), np.float32)}, ["embedding"])
    np.testing.assert_array_equal(result.embedding, source["embedding"][0])
    np.testing.assert_array_equal(explainer.predict(tensor=IMAGE).embedding, result.embedding)
    explained = explainer.explain(tensor=IMAGE, targets=[Target.direction(ONE)])
    np.testing.assert_array_equal(explained.embedding, result.embedding)


def test_other_tasks_have_no_embedding(task_graphs: dict[str, Explainer]) -> None:
    assert task_graphs["regression"].explain(tensor=IMAGE).embedding is None


@pytest.mark.parametrize("layer", TASKS["embedding"].layers)
def test_maps_are_the_slopes_of_the_similarity(explainer: Explainer, task_folder: Any, layer: str) -> None:
    to_one, to_two = Target.similar_to(ONE), Target.similar_to(TWO)
    targets = {
        to_one: lambda y: cosine(y, ONE[None]),
        Target.similar_to(ONE, negative=True): lambda y: -cosine(y, ONE[None]),
        Target.similar_to(BOTH): lambda y: cosine(y, BOTH),
        Target.similar_to(ONE, contrast=to_two): lambda y: cosine(y, ONE[None]) - cosine(y, TWO[None]),
        Target.similar_to(BOTH, mode="nearest"): lambda y: max(cosine(y, row[None]) for row in BOTH),
    }
    result = explainer.explain(tensor=IMAGE, targets=list(targets), layers=[layer], method="hires-cam")
    cut = Tail(task_folder / "embedding.source.onnx", layer, "embedding", IMAGE)
    for explanation, score in zip(result.explanations, targets.values(), strict=True):
        activations = explanation.activations[0]
        assert_close(explanation.weights[0], cut.weights(activations, score))
        along = cut.slope(activations, activations.astype(np.float64), score)
        assert explanation.raw_map.sum(dtype=np.float64) == pytest.approx(along, rel=1e-3, abs=1e-4)
    assert result.explanations[0].target.score == pytest.approx(cosine(result.embedding, ONE[None]), abs=1e-6)
    assert result.explanations[3].contrast is not None
    assert result.explanations[3].contrast.score == pytest.approx(cosine(result.embedding, TWO[None]), abs=1e-6)


@pytest.mark.parametrize("mode", ["mean", "nearest"])
def test_the_direction_is_the_gradient_of_pytorch(mode: str) -> None:
    rng = np.random.default_rng(4)
    for scale in (1e-3, 1, 1e3):
        embedding = (rng.normal(size=40) * scale).astype(np.float32)
        rows = (rng.normal(size=(3, 40)) * rng.uniform(1e-3, 1e3, (3, 1))).astype(np.float32)
        found = likeness(References(rows, mode=mode), embedding)
        variable = torch.tensor(embedding, dtype=torch.float64, requires_grad=True)
        units = torch.nn.functional.normalize(torch.tensor(rows, dtype=torch.float64))
        to_each = torch.nn.functional.cosine_similarity(variable[None], units)
        to_mean = torch.nn.functional.cosine_similarity(variable, units.mean(dim=0), dim=0)
        wanted = to_mean if mode == "mean" else to_each.max()
        wanted.backward()
        assert found.similarity == pytest.approx(wanted.item(), rel=1e-6)
        np.testing.assert_allclose(found.array, variable.grad.numpy(), rtol=1e-4, atol=1e-6 / scale)


def test_names(explainer: Explainer) -> None:
    embedding = explainer.explain(tensor=IMAGE).embedding
    assert embedding is not None
    near, far = embedding + 0.1, -embedding + 0.1
    targets = [
        Target.similar_to(near),
        Target.similar_to(np.stack([far, near]), names=["far", "near"], mode="nearest", negative=True),
        Target.similar_to(np.stack([near, near]), contrast=Target.similar_to(far, names=["far"])),
    ]
    titles = [item.title for item in explainer.explain(tensor=IMAGE, targets=targets).explanations]
    assert titles == ["reference", "against near", "2 references, not far"]


def test_an_image_is_like_itself_and_nothing_speaks_for_it(explainer: Explainer) -> None:
    embedding = explainer.explain(tensor=IMAGE).embedding
    assert embedding is not None
    result = explainer.explain(tensor=IMAGE, targets=[Target.similar_to(3 * embedding, names=["same.png"])])
    [explanation] = result.explanations
    assert explanation.target.score == pytest.approx(1, abs=1e-6)
    assert not explanation.raw_map.any()
    assert any("is that of same.png" in warning for warning in result.warnings)


def test_similarities_of_a_batch_are_those_of_each_image(explainer: Explainer) -> None:
    other = np.random.default_rng(2).normal(size=IMAGE.shape).astype(np.float32)
    targets = [Target.similar_to(ONE)]
    subjects = [explainer.accept(tensor) for tensor in (IMAGE, other)]
    plans = [explainer.fit(explainer.plan(Request(targets=targets)), subject) for subject in subjects]
    for tensor, subject, plan, inference in zip(
        (IMAGE, other), subjects, plans, explainer.infer(subjects, plans), strict=True
    ):
        assert isinstance(plan.slots[0].place, Likeness)
        [together] = explainer.finish(plan, subject, inference).explanations
        [alone] = explainer.explain(tensor=tensor, targets=targets).explanations
        assert together.target.score == pytest.approx(alone.target.score, rel=1e-5)
        np.testing.assert_allclose(together.raw_map, alone.raw_map, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("array", "options", "text"),
    [
        (np.zeros((2, 3, 4)), {}, r"embeddings \[R, D\]"),
        (np.ones((0, 4)), {}, r"embeddings \[R, D\]"),
        ([[1, np.nan]], {}, r"embeddings \[R, D\]"),
        ([["a"]], {}, r"embeddings \[R, D\]"),
        ([[1, 2], [0, 0]], {}, "zero everywhere"),
        (np.ones((MOST_REFERENCES + 1, 2)), {}, "the limit is 1024"),
        ([[1, 2]], {"names": ("a", "b")}, "2 names for 1 references"),
        ([[1, 2]], {"mode": "each"}, "mean or nearest, not by 'each'"),
    ],
)
def test_references_that_cannot_be_used(array: Any, options: dict[str, Any], text: str) -> None:
    with pytest.raises(TargetError, match=text):
        References(np.array(array), **options)


def test_what_has_no_direction(explainer: Explainer, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TargetError, match="A reference has 5 numbers, but the embedding has 6"):
        explainer.explain(tensor=IMAGE, targets=[Target.similar_to(ONE[:5])])
    with pytest.raises(TargetError, match="References take the place of a class"):
        Target(1, References(ONE))
    with pytest.raises(TargetError, match="references cancel out"):
        explainer.explain(tensor=IMAGE, targets=[Target.similar_to(np.stack([ONE, -ONE]))])
    with pytest.raises(TargetError, match=r"held against itself"):
        explainer.explain(tensor=IMAGE, targets=[Target.similar_to(ONE, contrast=Target.similar_to(ONE))])
    run = Engine.run
    for value, text in ((0, "zero everywhere"), (np.inf, "not of finite numbers")):

        def spoiled(engine: Engine, feeds: Any, names: Any, stop: Any = None, value: float = value) -> Any:
            return {name: np.full_like(array, value) for name, array in run(engine, feeds, names, stop).items()}

        monkeypatch.setattr(Engine, "run", spoiled)
        with pytest.raises(TargetError, match=text):
            explainer.explain(tensor=IMAGE, targets=[Target.similar_to(ONE)])
