"""The passes of the preparation: how they are run, what they ask for, and how often they run the model."""

from __future__ import annotations

import numpy as np
import onnx.parser
import onnx_ir as ir
import pytest
from onnx_ir.passes import InPlacePass, PassError, PassResult, PreconditionError, Sequential

from camgraph_exporter.errors import ModelFileError
from camgraph_exporter.graph.passes import run
from camgraph_exporter.prepare import opset, probing
from camgraph_exporter.prepare.fusions import WriteOutFusionsPass
from camgraph_exporter.prepare.prepare import lifted, prepare
from camgraph_exporter.prepare.probing import AnnotatePass
from camgraph_exporter.running.probe import Probe, probe

_GATHER = """
    <ir_version: 8, opset_import: ["" : 13]>
    net (float[N, 3, 4, 4] x) => (float[N, 3, 4, 4] y) {
        first = Constant <value = int64[1, 3, 4, 4] {
            0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
            2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2}> ()
        shape = Shape (x)
        index = Expand (first, shape)
        h = Relu (x)
        y = GatherElements <axis = 3> (h, index)
    }
"""
_FIXED = """
    <ir_version: 8, opset_import: ["" : 13]>
    net (float[BATCH, 3, 4, 4] x) => (float[BATCH, 48] y) {
        shape = Constant <value = int64[2] {BATCH, 48}> ()
        h = Relu (x)
        y = Reshape (h, shape)
    }
"""


def _model(text: str) -> ir.Model:
    return ir.from_proto(onnx.parser.parse_model(text))


@pytest.fixture
def probes(monkeypatch: pytest.MonkeyPatch) -> list[Probe]:
    """Collects what each probe of a model found."""
    found: list[Probe] = []

    def counted(model: ir.Model, **options: object) -> Probe:
        found.append(probe(model, **options))  # type: ignore[arg-type]  # handed on as they came
        return found[-1]

    monkeypatch.setattr(probing, "probe", counted)
    monkeypatch.setattr("camgraph_exporter.prepare.batch.probe", counted)
    return found


class _FailingPass(InPlacePass):
    def __init__(self, error: Exception) -> None:
        self._error = error

    def call(self, _model: ir.Model) -> PassResult:
        raise self._error


def test_an_error_that_no_pass_expects_names_the_pass() -> None:
    with pytest.raises(PassError, match="_FailingPass"):
        run(Sequential(_FailingPass(ValueError("no"))), _model(_GATHER))


def test_what_a_pass_says_of_a_model_is_told_as_it_is() -> None:
    with pytest.raises(ModelFileError, match=r"^It is broken\.$"):
        run(Sequential(_FailingPass(ModelFileError("It is broken."))), _model(_GATHER))


@pytest.mark.parametrize(
    "of_shapes", [AnnotatePass(), WriteOutFusionsPass(["y"])], ids=lambda each: type(each).__name__
)
def test_a_pass_over_shapes_asks_for_a_probe(of_shapes: InPlacePass) -> None:
    with pytest.raises(PreconditionError):
        of_shapes(_model(_GATHER))


def test_lifting_changes_the_opset_and_keeps_what_the_probe_found(probes: list[Probe]) -> None:
    prepared = prepare(_model(_GATHER))
    higher = lifted(prepared, 16)
    assert (prepared.model.opset_imports[""], higher.model.opset_imports[""]) == (13, 16)
    assert list(higher.values()) == list(prepared.values())
    assert [value.shape for value in higher.values().values()] == [value.shape for value in prepared.values().values()]
    assert higher.probe is prepared.probe
    assert len(probes) == 1


def test_values_that_lifting_adds_are_probed(probes: list[Probe], monkeypatch: pytest.MonkeyPatch) -> None:
    def by_two_nodes(model: ir.Model, version: int) -> ir.Model:
        """Return the lifted model with another node, as the converter adds for operators that changed."""
        result = convert(model, version)
        node = next(node for node in result.graph if node.op_type == "Relu")
        more = ir.node("Abs", [node.outputs[0]])
        more.outputs[0].name = "more"
        node.outputs[0].replace_all_uses_with(more.outputs[0])
        more.replace_input_with(0, node.outputs[0])
        result.graph.insert_after(node, more)
        return result

    convert = opset._converted
    monkeypatch.setattr(opset, "_converted", by_two_nodes)
    higher = lifted(prepare(_model(_GATHER)), 16)
    assert higher.values()["more"].shape == higher.values()["h"].shape
    assert len(probes) == 2


@pytest.mark.parametrize("batch", [1, 2])
def test_a_batch_is_freed_with_one_probe_before_and_one_after(batch: int, probes: list[Probe]) -> None:
    prepared = prepare(_model(_FIXED.replace("BATCH", str(batch))))
    assert prepared.image.shape is not None
    assert not isinstance(prepared.image.shape[0], int)
    assert [found.batch_is_symbolic for found in probes] == [False, True]
    assert prepared.probe is probes[-1]
    assert np.shape(prepared.probe.outputs["y"]) == (2, 48)
