"""The boxes of detectors in all forms: found, read, and given in pixels of the input."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from camgraph_core.place import DetectedObject, Point
from camgraph_core.result import ClassScore
from camgraph_exporter import Input
from camgraph_runtime import Explainer, Target
from support.exporting import exported
from support.square_detectors import FORMS, SQUARE, Form, Square, picture

SQUARES = (Square("green", 8, 40), Square("red", 64, 16), Square("green", 40, 8))


def explainer_of(form: Form, folder: Path, **options: Any) -> Explainer:
    exported(
        form.build(),
        folder,
        labels=form.labels,
        input=Input(mean=(0.0,), std=(1.0,), resize="stretch"),
        **dict(form.options),
        **options,
    )
    return Explainer(folder / "cam.onnx")


@pytest.fixture(scope="module")
def explainers(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Explainer]:
    return {name: explainer_of(form, tmp_path_factory.mktemp("form")) for name, form in FORMS.items()}


def summary(scores: list[ClassScore]) -> list[tuple[str, tuple[float, ...]]]:
    return [(score.label, tuple(np.round([*vars(score.box).values()]).tolist())) for score in scores]


def drawn(*squares: Square) -> list[tuple[str, tuple[float, ...]]]:
    return [(square.name, tuple(map(float, vars(square.box).values()))) for square in squares]


@pytest.mark.parametrize("name", FORMS)
def test_the_manifest_says_how_boxes_read(explainers: Mapping[str, Explainer], name: str) -> None:
    form, manifest = FORMS[name], explainers[name].manifest
    assert manifest.boxes.source_format == form.format
    assert manifest.boxes.source_is_normalised == form.is_normalised
    assert form.source in ("", manifest.boxes.source_tensor)
    found = manifest.head.background_class if manifest.head.HasField("background_class") else None
    assert found == form.background


@pytest.mark.parametrize("name", FORMS)
def test_what_is_listed_is_what_was_drawn(explainers: Mapping[str, Explainer], name: str) -> None:
    """Four cells find each square; one object of each is left."""
    result = explainers[name].explain(picture(SQUARES), num_predictions=9)
    assert summary(result.predictions) == drawn(*SQUARES)
    assert all(score.probability > 0.7 for score in result.predictions)
    assert summary([result.explanations[0].target]) == drawn(SQUARES[0])


@pytest.mark.parametrize("name", FORMS)
def test_objects_are_named_by_rank_by_class_and_by_point(explainers: Mapping[str, Explainer], name: str) -> None:
    first, second, third = SQUARES
    targets = {
        Target(place=DetectedObject(2)): second,
        Target.of_label("green", place=DetectedObject(2)): third,
        Target(place=Point(41, 9)): third,
        Target(place=Point(9, 55)): first,
        Target.of_label("red", place=Point(65, 17)): second,
    }
    result = explainers[name].explain(picture(SQUARES), targets=list(targets), num_predictions=0)
    assert summary([explanation.target for explanation in result.explanations]) == drawn(*targets.values())
    best = explainers[name].explain(picture(SQUARES), top_k=9)
    assert summary([explanation.target for explanation in best.explanations]) == drawn(*SQUARES)


@pytest.mark.parametrize("name", FORMS)
def test_the_heat_is_on_the_square(explainers: Mapping[str, Explainer], name: str) -> None:
    for explanation in explainers[name].explain(picture(SQUARES), top_k=3).explanations:
        box = explanation.target.box
        assert box is not None
        inside = explanation.heatmap[int(box.top) : int(box.bottom), int(box.left) : int(box.right)]
        assert inside.shape == (SQUARE, SQUARE)
        assert inside.sum() > 0.2 * explanation.heatmap.sum()


def test_onnx_files_of_their_own_say_the_same(tmp_path: Path) -> None:
    onnx.checker.check_model(FORMS["yolo v8"].build(), full_check=True)
