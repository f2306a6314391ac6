"""Tasks: one object each, which no other file names, and which tensors of scores each of them claims."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

import onnx_ir as ir
import pytest

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.errors import UnsupportedError
from camgraph_exporter.score.class_part import ClassPart
from camgraph_exporter.score.one_number import OneNumber
from camgraph_exporter.score.output_head import OutputHead
from camgraph_exporter.tasks import TASKS, Evidence, task_claiming, task_named, task_of
from camgraph_runtime.tasks.task import TASKS as RUNTIME_TASKS

ROOT = Path(__file__).resolve().parent.parent.parent
KINDS = [kind for kind in pb.Task.values() if kind != pb.TASK_UNSPECIFIED]
QUANTITY, LOGIT = OneNumber(True, "a quantity"), OneNumber(False, "a logit")


def test_every_task_of_the_manifest_has_one_object_and_one_word() -> None:
    assert sorted(task.kind for task in TASKS) == sorted(KINDS)
    for kind in KINDS:
        task = task_of(pb.Manifest(task=kind))
        assert task_named(task.name) is task
        assert RUNTIME_TASKS[kind].name == task.name


def test_a_manifest_without_a_task_is_one_of_classification() -> None:
    assert task_of(pb.Manifest()).kind == pb.TASK_CLASSIFICATION
    with pytest.raises(UnsupportedError, match="does not know"):
        task_of(pb.Manifest(task=99))  # type: ignore[arg-type]  # as a newer exporter may write


@pytest.mark.parametrize("package", ["exporter", "runtime"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_task_is_named_in_its_own_file_alone(kind: pb.Task, package: str) -> None:
    name = pb.Task.Name(kind)
    files = (ROOT / package).rglob("*.py")
    naming = [file for file in files if re.search(rf"\b{name}\b", file.read_text(encoding="utf-8"))]
    assert [file.stem for file in naming] == [task_of(pb.Manifest(task=kind)).name.replace("-", "_")]


@pytest.mark.parametrize(
    ("dims", "number", "sorted_from", "expected", "note"),
    [
        (("N", 10), None, None, "classification", ""),
        (("N", 10, 1, 1), None, None, "classification", ""),
        (("N", 1), None, None, "classification", ""),
        (("N", 1), LOGIT, None, "classification", "a logit"),
        (("N", 1), QUANTITY, None, "regression", "a quantity"),
        (("N", 3, 8, 8), None, None, "segmentation", ""),
        (("N", 1, "H", "W"), None, None, "segmentation", ""),
        (("N", "H", "W"), QUANTITY, None, "dense-regression", "a quantity"),
        (("N", 1, 8, 8), QUANTITY, None, "dense-regression", "a quantity"),
        (("N", 1, 8, 8), LOGIT, None, "segmentation", "a logit"),
        (("N", 64, 3), None, None, "detection", ""),
        (("N", 64, 1), None, "boxes", "detection", ""),
        (("N", 64, 3), None, "classes", "classification", ""),
    ],
)
def test_a_task_claims_what_its_scores_look_like(
    dims: tuple[int | str, ...],
    number: OneNumber | None,
    sorted_from: Literal["boxes", "classes"] | None,
    expected: str,
    note: str,
) -> None:
    shown = OutputHead(ir.Value(name="scores"), sorted_from=sorted_from)
    evidence = Evidence(shown, dims, number) if len(dims) == 2 else Evidence(shown, dims, per_pixel=number)
    task, said = task_claiming(evidence)
    assert (task.name, said) == (expected, note)


def test_one_class_beside_boxes_is_a_detection() -> None:
    value = ir.Value(name="scores")
    for dims in (("N", 1, 64), ("N", 64, 1)):
        task, note = task_claiming(Evidence(OutputHead(value, part=ClassPart(value, 2, 4)), dims))
        assert (task.name, note) == ("detection", "")
