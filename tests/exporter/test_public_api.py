"""The three functions that programs call: the forms of a source, their keywords, and what they return."""

from __future__ import annotations

import inspect
import math
from pathlib import Path

import numpy as np
import onnx
import pytest

import camgraph_exporter
from camgraph_core.errors import UsageError
from camgraph_core.settings import declared, nested
from camgraph_exporter import CertificateError, Input, ModelFileError, export, verify
from camgraph_exporter.frontends.onnx_file import load_onnx
from camgraph_exporter.options import ExportOptions, InspectOptions, VerifyOptions
from camgraph_exporter.prepare.prepare import prepare
from camgraph_runtime import Explainer
from support.exporting import camgraph
from support.nets import CLASSES, classifier


@pytest.fixture
def source(tmp_path: Path) -> Path:
    onnx.save(classifier(), tmp_path / "source.onnx")
    return tmp_path / "source.onnx"


@pytest.mark.parametrize("form", [str, Path, onnx.load])
def test_a_source_is_text_a_path_or_a_model(form: type, source: Path, tmp_path: Path) -> None:
    given = form(source)
    before = given.SerializeToString() if isinstance(given, onnx.ModelProto) else None
    exported = export(given, str(tmp_path / "cam.onnx"), layers="block", name="a net")
    assert [layer.name for layer in exported.manifest.layers] == ["block"]
    assert exported.manifest.source.file_name == "a net"
    assert onnx.load(tmp_path / "cam.onnx") == exported.model
    assert before is None or given.SerializeToString() == before


def test_without_a_target_the_graph_stays_in_memory(source: Path, tmp_path: Path) -> None:
    exported = export(source, layers=("block", "auto"))
    assert list(tmp_path.iterdir()) == [source]
    exported.save(tmp_path / "later.onnx")
    assert verify(tmp_path / "later.onnx").passed
    result = Explainer(tmp_path / "later.onnx").explain(np.zeros((32, 32, 3), np.uint8))
    assert len(result.explanations) == 1


def test_a_model_in_memory_needs_its_weights(source: Path) -> None:
    model = onnx.load(source)
    onnx.external_data_helper.convert_model_to_external_data(model, size_threshold=0)
    model.graph.initializer[0].ClearField("raw_data")
    with pytest.raises(ModelFileError, match=r"are in files\. Give the path of its \.onnx file"):
        export(model)


def test_labels_are_texts_or_a_file(source: Path, tmp_path: Path) -> None:
    labels = [f"class {number}" for number in range(CLASSES)]
    (tmp_path / "labels.txt").write_text("\n".join(labels))
    for given in (labels, tmp_path / "labels.txt", str(tmp_path / "labels.txt")):
        assert list(export(source, labels=given).manifest.class_labels) == labels


def test_progress_is_told(source: Path, tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    export(source, tmp_path / "cam.onnx", progress=lambda *step: told.append(step))
    assert [done for _, done, _ in told] == list(range(len(told)))
    assert told[-1][1] == told[-1][2]
    measured: list[tuple[str, int, int]] = []
    found = camgraph_exporter.inspect(source, measure=True, progress=lambda *step: measured.append(step))
    assert [name for name, _, _ in measured] == [candidate.layer.name for candidate in found.candidates]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dynamic_size": True}, "--dynamic-size is for PyTorch modules"),
        ({"example_input": 1}, "An example input is for PyTorch modules"),
        ({"layers": [object()]}, "A layer of an ONNX model is named by its tensor"),
        ({"task": "guessing"}, "There is no task 'guessing'"),
        ({"class_axis": 4}, "class-axis must be at most 3, not 4"),
        ({"seed": -1}, "seed must be at least 0, not -1"),
        ({"portable": True, "skippable": True}, "choose one"),
        ({"preprocessing": "nothing"}, "A str states no preprocessing"),
    ],
)
def test_options_that_do_not_fit(options: dict[str, object], message: str, source: Path) -> None:
    with pytest.raises(UsageError, match=message):
        export(source, **options)  # type: ignore[arg-type]  # wrong on purpose


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"based_on": "imagenett"}, "There is no preset 'imagenett'. Use one of caffe, "),
        ({"filter": "cubic"}, "There is no filter 'cubic'. Use one of nearest, "),
        ({"divisor": 0}, "divisor must be greater than 0, not 0"),
        ({"mean": (math.nan,)}, "divisor, mean and std are finite numbers"),
        ({"std": (1.0, 0.0)}, "std must be greater than 0 in every channel, not 1.0, 0.0"),
        ({"shorter_side": 0}, "shorter-side must be at least 1"),
    ],
)
def test_an_input_that_cannot_be(options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Input(**options)  # type: ignore[arg-type]  # wrong on purpose


def test_only_a_part_of_the_input_is_stated(source: Path) -> None:
    manifest = export(source, input=Input(divisor=255)).manifest
    assert manifest.input.stated
    assert "mean and std were guessed as in the preset 'imagenet'" in " ".join(manifest.notes)
    whole = export(source, input=Input(divisor=255, mean=(0,), std=(1,))).manifest
    assert "guessed" not in " ".join(whole.notes)


@pytest.mark.parametrize(
    ("options", "sees_all", "said"),
    [
        ({"mean": (0,), "std": (1,), "divisor": 255}, True, "what lies beyond is cut off on both sides"),
        ({"mean": (0,), "std": (1,), "divisor": 255, "resize": "stretch"}, True, ""),
        ({"based_on": "imagenet"}, False, ""),
    ],
)
def test_a_guessed_resize_sees_all_of_a_photo_that_fits(
    options: dict[str, object], sees_all: bool, said: str, source: Path, tmp_path: Path
) -> None:
    manifest = export(source, tmp_path / "out.onnx", input=Input(**options)).manifest  # type: ignore[arg-type]  # a table
    notes = " ".join(manifest.notes)
    assert said in notes
    assert ("was not stated" in notes) == bool(said)
    [height, width] = [int(side) for side in manifest.input.tensor.shape[2:]]
    photo = np.random.default_rng(3).integers(0, 256, (height, width, 3), np.uint8)
    with Explainer(tmp_path / "out.onnx") as explainer:
        pixels = explainer.prepare(photo).tensor[0].transpose(1, 2, 0)
    values = (photo / 255 - np.array(manifest.input.mean)) / np.array(manifest.input.std)
    assert np.allclose(pixels, values, atol=1e-5) == sees_all


def test_a_keyword_that_does_not_exist_is_a_type_error(source: Path) -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'gradiens'"):
        export(source, gradiens=True)  # type: ignore[call-arg]  # wrong on purpose
    with pytest.raises(TypeError, match="missing a required argument: 'source'"):
        export()  # type: ignore[call-arg]  # wrong on purpose


@pytest.mark.parametrize(
    ("name", "options"), [("export", ExportOptions), ("inspect", InspectOptions), ("verify", VerifyOptions)]
)
def test_help_names_every_keyword_and_what_it_does(name: str, options: type) -> None:
    function = getattr(camgraph_exporter, name)
    keywords = [p for p in inspect.signature(function).parameters.values() if p.kind is p.KEYWORD_ONLY]
    described = " ".join(str(function.__doc__).split())
    fields = {item.field: item.setting.help for item in declared(options)}
    assert {parameter.name for parameter in keywords} == {*fields, *dict(nested(options))}
    for field, text in fields.items():
        assert f"{field}: {text}" in described


def test_a_check_that_fails_is_in_the_verification_and_not_raised(source: Path, tmp_path: Path) -> None:
    exported = export(source, tmp_path / "cam.onnx", layers="block")
    weights = next(tensor for tensor in exported.model.graph.initializer if len(tensor.dims) == 4)
    array = onnx.numpy_helper.to_array(weights).copy()
    weights.CopyFrom(onnx.numpy_helper.from_array(np.full_like(array, np.nan), weights.name))
    onnx.save(exported.model, tmp_path / "broken.onnx")
    verification = verify(tmp_path / "broken.onnx")
    assert not verification.passed
    assert "gradient-finite-differences" in verification.failed
    assert verification.failed[-1] == "digest"
    assert "broken.onnx has changed since it was exported" in verification.notes[-1]
    ended = camgraph("verify", tmp_path / "broken.onnx")
    assert ended.exit_code == CertificateError.exit_code
    assert "did not pass" in ended.stderr


def test_values_are_looked_up_in_one_index(source: Path) -> None:
    """An index that is built anew for every name makes the export of a large model quadratic."""
    prepared = prepare(load_onnx(source).model)
    assert prepared.values() is prepared.values()
    for name, value in prepared.values().items():
        assert prepared.value(name) is value
    assert prepared.value("nowhere") is None
