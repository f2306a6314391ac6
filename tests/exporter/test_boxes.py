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
from support.square_detectors import FORMS, HEIGHT, SQUARE, WIDTH, Form, Square, picture

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


def shares_of_heat(explainer: Explainer, method: str | None) -> list[float]:
    """How much of each object's heat lies on the square that it is."""
    explanations = explainer.explain(picture(SQUARES), top_k=3, method=method).explanations
    assert summary([explanation.target for explanation in explanations]) == drawn(*SQUARES)
    return [share_on(square, item.heatmap) for square, item in zip(SQUARES, explanations, strict=True)]


def share_on(square: Square, heatmap: np.ndarray) -> float:
    inside = heatmap[square.top : square.top + SQUARE, square.left : square.left + SQUARE]
    return float(inside.sum() / heatmap.sum())


@pytest.mark.parametrize("name", FORMS)
def test_by_default_the_heat_is_on_the_object(explainers: Mapping[str, Explainer], name: str) -> None:
    """Of two green squares Grad-CAM shows both, whichever was asked for."""
    assert explainers[name].manifest.default_method == "hires-cam"
    by_default, grad_cam = (shares_of_heat(explainers[name], method) for method in (None, "grad-cam"))
    blob = np.exp(-4 * np.add.outer(np.linspace(-1, 1, HEIGHT) ** 2, np.linspace(-1, 1, WIDTH) ** 2))
    chance = SQUARE**2 / (HEIGHT * WIDTH)
    for share, square in zip(by_default, SQUARES, strict=True):
        assert share > max(0.85, chance, share_on(square, blob))
    assert max(grad_cam[0], grad_cam[2]) < 0.6


@pytest.mark.parametrize("name", FORMS)
def test_the_nets_are_well_formed(name: str) -> None:
    onnx.checker.check_model(FORMS[name].build(), full_check=True)
