"""Heads by what they compute, however they are written: the score comes before, probabilities are the model's own."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import pytest

from camgraph.v1 import manifest_pb2 as pb
from camgraph_exporter import export
from camgraph_runtime import Explainer, Target, Threads
from support.exporting import images
from support.head_spellings import CLASSES, SPELLINGS, Spelling, spelled
from support.nets import Net, trunk

_IMAGE = images((1, 3, 16, 16))


def _exported(model: onnx.ModelProto, path: Path, **score: str) -> Explainer:
    onnx.save(model, path.with_suffix(".source.onnx"))
    export(path.with_suffix(".source.onnx"), path, layers=["block"], **score)
    return Explainer(path, threads=Threads(1))


def _own(model: onnx.ModelProto, name: str) -> np.ndarray:
    """The source's own output, computed by ONNX's reference evaluator."""
    return np.asarray(onnx.reference.ReferenceEvaluator(model).run([name], {"image": _IMAGE})[0], np.float64)


@pytest.fixture(scope="module")
def plain_graphs(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Spelling], Explainer]:
    """The graphs that end in the scores, made once for each number of them and opset."""

    @cache
    def made(scores: int, opset: int) -> Explainer:
        plain = Spelling("plain", lambda _, z: z, pb.HEAD_KIND_NONE, scores=scores, opset=opset)
        path = tmp_path_factory.mktemp("plain") / "plain.onnx"
        return _exported(spelled(plain), path, **({"head": "sigmoid"} if scores == 1 else {}))

    return lambda spelling: made(spelling.scores, spelling.opset)


@pytest.mark.parametrize("spelling", SPELLINGS, ids=lambda spelling: spelling.name)
def test_a_head_is_what_it_computes(
    tmp_path: Path, plain_graphs: Callable[[Spelling], Explainer], spelling: Spelling
) -> None:
    with_head = spelled(spelling)
    head, plain = _exported(with_head, tmp_path / "head.onnx"), plain_graphs(spelling)
    assert head.manifest.head.kind == spelling.kind
    classes = head.manifest.head.num_classes
    found = head.explain(tensor=_IMAGE, targets=[Target.index(c) for c in range(classes)], num_predictions=classes)

    # The score and its slopes are those of z, up to the factor that the table states.
    skipped = plain.manifest.head.num_classes - classes
    wanted = plain.explain(tensor=_IMAGE, targets=[Target.index(c + skipped) for c in range(classes)])
    for one, other in zip(found.explanations, wanted.explanations, strict=True):
        np.testing.assert_allclose(
            one.target.score, spelling.factor * other.target.score + spelling.offset, rtol=2e-3, atol=1e-3
        )
        scale = np.abs(other.weights[0]).max()
        assert scale > 1e-3
        tolerance = 2e-3 if "half" in spelling.name else 1e-5
        np.testing.assert_allclose(one.weights[0], spelling.factor * other.weights[0], rtol=0, atol=tolerance * scale)

    # What is shown is what the model itself says, in its own order.
    own = spelling.probabilities(_own(with_head, with_head.graph.output[0].name))[0]
    assert own.shape == (classes,)
    shown = {item.class_index: item.probability for item in found.predictions}
    assert [shown[c] for c in range(classes)] == pytest.approx(
        own.tolist(), abs=1e-3 if "half" in spelling.name else 1e-6
    )
    assert found.predictions[0].class_index == own.argmax()
    predicted = head.explain(tensor=_IMAGE).explanations[0].target
    assert predicted.class_index == own.argmax()
    assert predicted.probability == pytest.approx(own.max(), abs=1e-3 if "half" in spelling.name else 1e-6)


@pytest.mark.parametrize("named", ["plain", "out"])
def test_a_named_score_brings_no_second_softmax(tmp_path: Path, named: str) -> None:
    net = Net(seed=11)
    z = net.node("Mul", net.pooled_head(trunk(net, net.image()), 16, name="plain"), net.weight(np.float32(0.2)))
    model = net.model(net.node("Softmax", z, axis=1, name="out"))
    found = _exported(model, tmp_path / "cam.onnx", score=named).explain(tensor=_IMAGE, num_predictions=CLASSES)
    own = _own(model, "out")[0]
    assert {item.class_index: item.probability for item in found.predictions} == pytest.approx(
        dict(enumerate(own)), abs=1e-6
    )


def test_numbers_after_a_softplus_are_scores_and_not_logarithms_of_probabilities(tmp_path: Path) -> None:
    """A softplus of z is -log(sigmoid(-z)), by which the least number would be the predicted class."""
    net = Net(seed=11)
    z = net.pooled_head(trunk(net, net.image()), 16, name="z")
    model = net.model(net.node("Softplus", z, name="evidence"))
    explainer = _exported(model, tmp_path / "cam.onnx")
    assert explainer.manifest.head.kind == pb.HEAD_KIND_NONE
    predicted = explainer.explain(tensor=_IMAGE).explanations[0].target
    own = _own(model, "evidence")[0]
    assert predicted.class_index == own.argmax()
    assert predicted.score == pytest.approx(own.max(), rel=1e-5)


def test_the_table_has_every_kind_of_head() -> None:
    kinds = {spelling.kind for spelling in SPELLINGS}
    assert kinds == {kind for kind in pb.HeadKind.values() if kind > pb.HEAD_KIND_NONE}
    assert len({spelling.name for spelling in SPELLINGS}) == len(SPELLINGS)
    assert CLASSES > 2
