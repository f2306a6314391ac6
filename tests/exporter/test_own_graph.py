"""Errors of the explainable graph speak of that, and those of the model of the model's file."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from camgraph_core.errors import InvalidGraphError
from camgraph_exporter.errors import ExportError, ModelFileError
from camgraph_exporter.own_graph import explainable_graph, load_trained
from camgraph_runtime.run.engine import Engine
from support.exporting import exported
from support.nets import Net, classifier, trunk


def test_an_operator_that_its_opset_does_not_have(tmp_path: Path) -> None:
    """onnxruntime runs LayerNormalization in any opset, the standard has it from 17 on."""
    net = Net(seed=2, opset=13)
    last = net.node("LayerNormalization", trunk(net, net.image()), net.random(8), net.random(8), axis=-1)
    with pytest.raises(ExportError, match=r"explainable graph of this model is not valid ONNX: .*LayerNormalization"):
        exported(net.model(net.pooled_head(last, 16)), tmp_path)


def test_a_graph_that_does_not_load_is_not_called_a_file() -> None:
    model = classifier()
    model.graph.node[0].op_type = "Nothing"
    with pytest.raises(InvalidGraphError) as caught:
        Engine(model.SerializeToString())
    assert "file" not in str(caught.value)
    said = r"cannot run the explainable graph of this model: .* Nothing was written"
    with pytest.raises(ExportError, match=said), explainable_graph():
        Engine(model.SerializeToString())


def test_the_model_itself_is_named(tmp_path: Path) -> None:
    model = classifier()
    model.graph.node[0].op_type = "Nothing"
    onnx.save(model, tmp_path / "model.onnx")
    with pytest.raises(ModelFileError, match=r"onnxruntime cannot load '.*model.onnx': "):
        load_trained(tmp_path / "model.onnx", optimize=True, exact_int8=True)


def test_places_in_the_runtimes_own_source_are_left_out(tmp_path: Path) -> None:
    model = classifier()
    model.ir_version = 18
    with pytest.raises(ModelFileError) as caught:
        exported(model, tmp_path)
    assert "onnxruntime_src" not in str(caught.value)
    assert "IR version: 18" in str(caught.value)
