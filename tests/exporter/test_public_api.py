"""What programs import, and the forms in which they give paths."""

from __future__ import annotations

import inspect
from pathlib import Path

import onnx
import pytest

import camgraph_exporter
import camgraph_exporter.pipeline as module
from camgraph_exporter import ExportOptions, export_file, export_model
from camgraph_exporter.frontends.onnx_file import load_onnx
from camgraph_exporter.prepare.prepare import prepare
from support.nets import classifier


def test_the_module_of_the_export_is_not_hidden_by_a_function() -> None:
    assert inspect.ismodule(module)
    assert module.export is export_model
    assert all(hasattr(camgraph_exporter, name) for name in camgraph_exporter.__all__)


@pytest.mark.parametrize("form", [str, Path])
def test_a_path_may_be_text(form: type, tmp_path: Path) -> None:
    onnx.save(classifier(), tmp_path / "source.onnx")
    export_file(form(tmp_path / "source.onnx"), form(tmp_path / "cam.onnx"))
    assert (tmp_path / "cam.onnx").exists()
    made = export_model(load_onnx(form(tmp_path / "source.onnx")), ExportOptions(layers=("block",)))
    assert [layer.name for layer in made.manifest.layers] == ["block"]


def test_values_are_looked_up_in_one_index(tmp_path: Path) -> None:
    """An index that is built anew for every name makes the export of a large model quadratic."""
    onnx.save(classifier(), tmp_path / "source.onnx")
    prepared = prepare(load_onnx(tmp_path / "source.onnx").model)
    assert prepared.values() is prepared.values()
    for name, value in prepared.values().items():
        assert prepared.value(name) is value
    assert prepared.value("nowhere") is None
