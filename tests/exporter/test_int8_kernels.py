"""Which kernels computed an export's 8-bit sums, and what the default ones change, on a CPU that saturates."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from camgraph.v1 import manifest_pb2 as pb
from camgraph_exporter import export
from camgraph_exporter.errors import CertificateError
from camgraph_exporter.quantised.exact_weights import may_saturate
from camgraph_runtime.run.engine import Engine
from support.nets import classifier
from support.quantised_nets import BRANCHES, RESIDUAL, Quantiser, float_net, photos, quantise, quantise_dynamically
from support.saturating_cpu import SaturatingCpu, asks_for_exact

CPU = type[SaturatingCpu]


def _export(model: onnx.ModelProto, folder: Path, *, exact_int8: bool = True) -> pb.Manifest:
    onnx.save(model, folder / "source.onnx")
    return export(folder / "source.onnx", folder / "cam.onnx", exact_int8=exact_int8).manifest


def _notes(manifest: pb.Manifest) -> list[str]:
    return [note for note in manifest.notes if "kernels" in note]


@pytest.fixture(scope="module")
def branches() -> onnx.ModelProto:
    return quantise(float_net(BRANCHES), Quantiser("QOperator"))


@pytest.mark.parametrize("classes", [8, 0])
def test_a_note_says_what_default_kernels_change(
    classes: int, branches: onnx.ModelProto, tmp_path: Path, saturating: CPU
) -> None:
    saturating.spoil["logits"] = lambda logits: 0.75 * logits
    if classes:
        saturating.spoil["target_index"] = lambda index: (index + 1) % 5
    manifest = _export(branches, tmp_path)
    [note] = _notes(manifest)
    assert f"up to 0.25 of their largest value, and the predicted class of {classes} of 8 random images" in note
    assert "must set session.x64quantprecision to 1" in note
    assert manifest.int8_kernels == pb.INT8_KERNELS_EXACT


def test_nothing_is_noted_where_default_kernels_change_nothing(
    branches: onnx.ModelProto, tmp_path: Path, saturating: CPU
) -> None:
    manifest = _export(branches, tmp_path)
    assert _notes(manifest) == []
    assert manifest.int8_kernels == pb.INT8_KERNELS_EXACT


def test_the_manifest_says_that_sums_are_exact_on_this_cpu(branches: onnx.ModelProto, tmp_path: Path) -> None:
    assert _export(branches, tmp_path).int8_kernels == pb.INT8_KERNELS_EXACT


def test_a_float_model_says_nothing_of_kernels(tmp_path: Path, saturating: CPU) -> None:
    saturating.spoil["logits"] = lambda logits: 0.75 * logits
    manifest = _export(classifier(), tmp_path)
    assert _notes(manifest) == []
    assert manifest.int8_kernels == pb.INT8_KERNELS_UNSPECIFIED


def test_default_kernels_are_kept_when_asked_for(branches: onnx.ModelProto, tmp_path: Path, saturating: CPU) -> None:
    saturating.spoil["logits"] = lambda logits: 0.75 * logits
    manifest = _export(branches, tmp_path, exact_int8=False)
    assert manifest.int8_kernels == pb.INT8_KERNELS_SATURATING
    [note] = _notes(manifest)
    assert "as --fast-int8 asks" in note
    compared = [settings for settings in saturating.settings if asks_for_exact(settings)]
    assert len(compared) == 1, "exact kernels serve the comparison alone"


def test_kernels_that_do_not_take_the_graph_are_noted(
    branches: onnx.ModelProto, tmp_path: Path, saturating: CPU
) -> None:
    saturating.refuses_exact = True
    manifest = _export(branches, tmp_path)
    assert manifest.int8_kernels == pb.INT8_KERNELS_SATURATING
    [note] = _notes(manifest)
    assert "cannot load the graph with exact kernels" in note


def test_kernels_that_no_sum_needs_are_not_missed(tmp_path: Path, saturating: CPU) -> None:
    """Exact kernels refuse operators of int8 activations, whose default kernels are exact."""
    saturating.refuses_exact = True
    manifest = _export(quantise(float_net(BRANCHES), Quantiser("QOperator", activations="QInt8")), tmp_path)
    assert _notes(manifest) == []
    assert manifest.int8_kernels == pb.INT8_KERNELS_EXACT


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (lambda: quantise(float_net(BRANCHES), Quantiser("QOperator")), True),
        (lambda: quantise(float_net(BRANCHES), Quantiser("QOperator", activations="QInt8")), False),
        (lambda: quantise(float_net(BRANCHES), Quantiser("QDQ", activations="QInt8")), True),
        (lambda: quantise(float_net(BRANCHES), Quantiser("QDQ", weights="QUInt8")), False),
        (lambda: quantise_dynamically(float_net(BRANCHES)), False),
        (lambda: _with_products("MatMulInteger", np.uint8, np.int8), True),
        (lambda: _with_products("MatMulInteger", np.int8, np.int8), False),
        (lambda: _with_products("ConvInteger", np.int8, np.uint8), True),
        (classifier, False),
    ],
    ids=["operators", "int8 operators", "int8 QDQ", "uint8 QDQ", "dynamic", "uint8 x int8", "int8 x int8",
         "int8 x uint8 convolution", "float"],
)  # fmt: skip  # a table, in rows of its own
def test_what_may_saturate(model: Callable[[], onnx.ModelProto], expected: bool) -> None:
    """As docs/int8.md's table of what was seen says."""
    assert may_saturate(ir.from_proto(model())) == expected


def _with_products(operator: str, x: type[np.generic], weights: type[np.generic]) -> onnx.ModelProto:
    kernel = "[1, 2, 3, 3]" if operator == "ConvInteger" else "[2, 2]"
    image = "[1, 2, 5, 5]" if operator == "ConvInteger" else "[2, 2]"
    kinds = f"{np.dtype(x).name}{image} x, {np.dtype(weights).name}{kernel} w"
    return onnx.parser.parse_model(
        f'<ir_version: 8, opset_import: ["" : 17]> g ({kinds}) => (int32[] y) {{ y = {operator} (x, w) }}'
    )


def test_a_certificate_that_fails_names_the_kernels(branches: onnx.ModelProto, tmp_path: Path, saturating: CPU) -> None:
    saturating.spoil["weights"] = lambda weights: 2 * weights
    with pytest.raises(CertificateError, match=r"gradient-float32 is off .* leave --fast-int8 out for exact ones"):
        _export(branches, tmp_path, exact_int8=False)


def _share_zero_points(model: onnx.ModelProto) -> None:
    """Let all int8 zero points be one tensor, as converters write them."""
    zeros = [tensor for tensor in model.graph.initializer if tensor.data_type == onnx.TensorProto.INT8]
    zeros = [tensor for tensor in zeros if not onnx.numpy_helper.to_array(tensor).any()]
    names = {tensor.name for tensor in zeros}
    assert len(names) > 2
    for tensor in zeros[1:]:
        model.graph.initializer.remove(tensor)
    for node in model.graph.node:
        for i, name in enumerate(node.input):
            node.input[i] = zeros[0].name if name in names else name


@pytest.mark.parametrize(("net", "format_"), [(RESIDUAL, "QDQ"), (BRANCHES, "QOperator")], ids=["QDQ", "QOperator"])
def test_a_model_that_shares_zero_points_is_exported_with_exact_kernels(
    net: str, format_: str, tmp_path: Path, saturating: CPU
) -> None:
    model = quantise(float_net(net), Quantiser(format_))
    own = Engine(model.SerializeToString())
    _share_zero_points(model)
    manifest = _export(model, tmp_path)
    assert manifest.certificate.passed
    assert _notes(manifest) == []
    graph = Engine(tmp_path / "cam.onnx")
    assert graph.exact_int8
    found = graph.run({"image": photos(2), "target": np.array([[-1], [-1]])})
    for name, array in own.run({"image": photos(2)}).items():
        np.testing.assert_array_equal(found[name], array)
