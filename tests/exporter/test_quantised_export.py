"""Exports of quantised networks: the prediction stays, and gradients are those of straight-through estimation."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from camgraph.v1 import manifest_pb2 as pb
from camgraph_exporter import Exported, export
from camgraph_exporter.errors import CertificateError, GradientError, LayerError
from camgraph_runtime.run.engine import Engine
from support.quantised_nets import (
    BRANCHES,
    RESIDUAL,
    SIZE,
    STATIC,
    Quantiser,
    float_net,
    photos,
    quantise,
    quantise_dynamically,
)

NETS = {"residual": RESIDUAL, "branches": BRANCHES}
# A middle layer of each network, by its name in the float model and in the form with operators on integers.
MIDDLE = {
    ("residual", "QDQ"): "block",
    ("residual", "QOperator"): "sum",
    ("branches", "QDQ"): "joined",
    ("branches", "QOperator"): "joined",
}
_CLASSES = np.array([[-1, 3]])

nets = pytest.mark.parametrize("net", NETS)
quantisers = pytest.mark.parametrize("how", STATIC, ids=str)


def _save(model: onnx.ModelProto, folder: Path, name: str = "model.onnx") -> Path:
    onnx.save(model, folder / name)
    return folder / name


def _export(model: onnx.ModelProto, folder: Path, layer: str = "auto", **options: Any) -> Exported:
    source = _save(model, folder)
    return export(source, folder / "out.onnx", layers=(layer,), **options)


def _run(exported: Exported, image: np.ndarray, outputs: list[str] | None = None) -> dict[str, np.ndarray]:
    """Run the graph, with inner values as further outputs."""
    model = onnx.ModelProto()
    model.CopyFrom(exported.model)
    for name in outputs or []:
        model.graph.output.add(name=name)
    feeds = {exported.manifest.input.tensor.name: image, "target": np.repeat(_CLASSES, len(image), axis=0)}
    return Engine(model.SerializeToString()).run(feeds)


def _maps(found: dict[str, np.ndarray]) -> np.ndarray:
    return np.einsum("nkhw,ntk->nthw", found["activations"], found["weights"])


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


@nets
@quantisers
def test_every_quantisation_is_certified_in_the_middle_and_at_the_end(net: str, how: Quantiser, tmp_path: Path) -> None:
    model = quantise(float_net(NETS[net]), how)
    for layer in ("auto", MIDDLE[net, how.format]):
        exported = _export(model, tmp_path, layer, gradients=True)
        assert exported.manifest.gradient_rule == pb.GRADIENT_RULE_STRAIGHT_THROUGH
        assert any("straight-through" in note for note in exported.manifest.notes)
        checks = {check.name: check.error for check in exported.manifest.certificate.checks}
        assert 0 < checks["quantised-surrogate"] < 0.5


@nets
@pytest.mark.parametrize("how", [how for how in STATIC if how.activations.startswith("QUInt8")], ids=str)
def test_the_prediction_is_bit_identical(net: str, how: Quantiser, tmp_path: Path) -> None:
    model = quantise(float_net(NETS[net]), how)
    image = photos(4, seed=9)
    before = Engine(model.SerializeToString()).run({"image": image})
    for layer in ("auto", MIDDLE[net, how.format]):
        after = _run(_export(model, tmp_path, layer), image)
        for name, array in before.items():
            np.testing.assert_array_equal(after[name], array)


@nets
@quantisers
def test_weights_are_those_of_autograd(net: str, how: Quantiser, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="PyTorch is the independent oracle of this test")
    from exporter.straight_through_oracle import straight_through_gradient  # noqa: PLC0415 - it needs torch

    model = quantise(float_net(NETS[net]), how)
    exported = _export(model, tmp_path, MIDDLE[net, how.format])
    layer = next(node for node in exported.model.graph.node if exported.manifest.layers[0].name in node.output)
    integers = [
        name
        for node in model.graph.node
        for name in node.output
        if node.op_type.startswith("Q") or name.endswith("_quantized")
    ]
    found = _run(exported, photos(1, seed=4), integers)
    for t, index in enumerate(found["target_index"][0]):
        gradient = straight_through_gradient(
            model,
            {name: found[name] for name in integers},
            photos(1, seed=4),
            layer.input[0],
            exported.manifest.head.score_tensor,
            int(index),
        )
        expected = gradient.mean(axis=(2, 3))[0]
        assert np.linalg.norm(found["weights"][0, t] - expected) <= 1e-5 * np.linalg.norm(expected)


@nets
@quantisers
def test_maps_agree_with_the_float_model(net: str, how: Quantiser, tmp_path: Path) -> None:
    original = float_net(NETS[net])
    image = photos(4, seed=9)
    reference = _run(_export(original, tmp_path), image)
    found = _run(_export(quantise(original, how), tmp_path), image)
    same = reference["target_index"][:, 1] == found["target_index"][:, 1]
    assert same.all()
    assert _correlation(_maps(reference)[:, 1], _maps(found)[:, 1]) >= 0.95


@nets
def test_dynamic_quantisation(net: str, tmp_path: Path) -> None:
    original = float_net(NETS[net])
    exported = _export(quantise_dynamically(original), tmp_path, "stem", gradients=True)
    assert exported.manifest.gradient_rule == pb.GRADIENT_RULE_STRAIGHT_THROUGH
    image = photos(1, seed=9)
    reference, found = _run(_export(original, tmp_path, "stem"), image), _run(exported, image)
    assert _correlation(_maps(reference)[:, 1], _maps(found)[:, 1]) >= 0.95


def test_the_file_keeps_its_integer_weights_once(tmp_path: Path) -> None:
    model = quantise(float_net(RESIDUAL), Quantiser("QDQ", per_channel=True))
    exported = _export(model, tmp_path, "stem")
    before = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer if t.data_type == TensorProto.INT8}
    after = {t.name: numpy_helper.to_array(t) for t in exported.model.graph.initializer}
    weights = {name: array for name, array in before.items() if array.ndim >= 2}
    for name, array in weights.items():
        np.testing.assert_array_equal(after[name], array)
    copies = [array.size for name, array in after.items() if name not in before and array.ndim >= 2]
    assert max(copies, default=0) <= 4096


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("format_", ["QDQ", "QOperator"])
def test_a_saturated_score_still_has_a_gradient(format_: str, bias: bool, tmp_path: Path) -> None:
    """Calibration on faint photos leaves the best scores at the end of their range, where the quantiser clips."""
    text = BRANCHES.replace("logits = MatMul (flat, w5)", "product = MatMul (flat, w5)\n logits = Add (product, shift)")
    original = float_net(text if bias else BRANCHES)
    if bias:
        original.graph.initializer.append(numpy_helper.from_array(np.full(5, 0.01, np.float32), "shift"))
    model = quantise(original, Quantiser(format_), calibration=0.05 * photos(8, seed=2))
    integers = f"{'product' if bias else 'logits'}_{'QuantizeLinear_Output' if format_ == 'QDQ' else 'quantized'}"
    found = _run(_export(model, tmp_path), photos(2, seed=9), [integers])
    assert found[integers].max() == 255
    assert np.abs(found["weights"]).max(axis=2).min() > 0


@pytest.mark.parametrize("format_", ["QDQ", "QOperator"])
def test_integers_in_and_out(format_: str, tmp_path: Path) -> None:
    """A model for integer hardware: the image comes quantised, and the scores leave so."""
    model = quantise(float_net(BRANCHES), Quantiser(format_))
    first, last = model.graph.node[0], model.graph.node[-1]
    quantiser = next(node for node in model.graph.node if node.op_type == "QuantizeLinear" and node.input[0] == "image")
    dequantiser = next(
        node for node in model.graph.node if node.op_type == "DequantizeLinear" and node.output[0] == "logits"
    )
    assert first is not last
    model.graph.node.remove(quantiser)
    model.graph.node.remove(dequantiser)
    dims = ["N", *(dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim[1:])]
    del model.graph.input[:], model.graph.output[:]
    model.graph.input.append(helper.make_tensor_value_info(quantiser.output[0], TensorProto.UINT8, dims))
    model.graph.output.append(helper.make_tensor_value_info(dequantiser.input[0], TensorProto.UINT8, ["N", 5]))
    exported = _export(model, tmp_path)
    image = np.random.default_rng(0).integers(0, 256, (2, 3, 24, 24)).astype(np.uint8)
    before = Engine(model.SerializeToString()).run({quantiser.output[0]: image})
    after = _run(exported, image)
    np.testing.assert_array_equal(after[dequantiser.input[0]], before[dequantiser.input[0]])
    assert after["target_score"].dtype == np.float32


@pytest.mark.parametrize("activations", ["QUInt8", "QInt8"])
def test_integers_in_that_are_moved_before_the_first_layer(activations: str, tmp_path: Path) -> None:
    """An image of integers with its channels last, as converters of models for small devices write it."""
    model = quantise(float_net(BRANCHES), Quantiser("QOperator", activations=activations))
    quantiser = next(node for node in model.graph.node if node.op_type == "QuantizeLinear")
    model.graph.node.remove(quantiser)
    model.graph.node.insert(0, helper.make_node("Transpose", ["integers"], [quantiser.output[0]], perm=[0, 3, 1, 2]))
    element = TensorProto.UINT8 if activations == "QUInt8" else TensorProto.INT8
    del model.graph.input[:]
    model.graph.input.append(helper.make_tensor_value_info("integers", element, ["N", SIZE, SIZE, 3]))
    assert _export(model, tmp_path, "c0").manifest.certificate.passed


@pytest.mark.parametrize("options", [{"skippable": True}, {"portable": True}], ids=str)
def test_other_forms_of_the_graph(options: dict[str, bool], tmp_path: Path) -> None:
    model = quantise(float_net(RESIDUAL), Quantiser("QDQ"))
    plain = _run(_export(model, tmp_path, "block"), photos(2))
    exported = _export(model, tmp_path, "block", **options)
    feeds = {"image": photos(2), "target": np.repeat(_CLASSES, 2, axis=0)}
    if "skippable" in options:
        feeds["explain"] = np.array(True)
    found = Engine(exported.model.SerializeToString()).run(feeds)
    np.testing.assert_allclose(found["weights"], plain["weights"], rtol=1e-5, atol=1e-7)


def test_a_layer_has_the_name_that_the_float_model_gives_it(tmp_path: Path) -> None:
    """The tensor before a quantiser exists in the file only; the deployed model computes with its twin behind."""
    exported = _export(quantise(float_net(RESIDUAL), Quantiser("QDQ")), tmp_path, "block")
    assert exported.manifest.layers[0].alias == "block"
    assert exported.manifest.layers[0].name == "block_DequantizeLinear_Output"


@pytest.mark.parametrize(
    ("format_", "layer", "real"),
    [
        ("QDQ", "block_QuantizeLinear_Output", "block_DequantizeLinear_Output"),
        ("QOperator", "joined_quantized", "joined"),
    ],
)
def test_integers_as_a_layer_are_refused_with_the_real_numbers_named(
    format_: str, layer: str, real: str, tmp_path: Path
) -> None:
    model = quantise(float_net(RESIDUAL if format_ == "QDQ" else BRANCHES), Quantiser(format_))
    with pytest.raises(
        LayerError, match=f"holds quantised integers. Name the real numbers that they stand for, '{real}'"
    ):
        _export(model, tmp_path, layer)


@pytest.mark.parametrize("format_", ["QDQ", "QOperator"])
def test_guided_gradients_of_quantised_models_are_refused(format_: str, tmp_path: Path) -> None:
    with pytest.raises(GradientError, match="quantisation has put ReLUs into its rounding"):
        _export(quantise(float_net(RESIDUAL), Quantiser(format_)), tmp_path, guided=True)


@pytest.mark.parametrize("format_", ["QDQ", "QOperator"])
def test_a_gate_left_out_is_caught(format_: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The certificate can fail: a backward part that passes gradients where the forward clips is not written."""
    from camgraph_exporter.vjp.rules import quantisation  # noqa: PLC0415 - only broken here

    monkeypatch.setattr(quantisation, "inside_range", lambda _op, _node, g: g)
    model = quantise(float_net(RESIDUAL), Quantiser(format_))
    with pytest.raises(CertificateError, match="gradient-finite-differences is off"):
        _export(model, tmp_path, MIDDLE["residual", format_])


@pytest.mark.parametrize("format_", ["QDQ", "QOperator"])
def test_bounds_that_are_wrong_on_both_sides_are_caught(
    format_: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interval arithmetic serves both sides; what was clipped is seen in the deployed integers all the same."""
    for module in ("vjp.rules.quantisation", "certificate.quantised.integers"):
        monkeypatch.setattr(f"camgraph_exporter.{module}.may_clip", lambda _node, _known: (False, False))
    model = quantise(float_net(BRANCHES), Quantiser(format_), calibration=0.3 * photos(16, seed=1))
    with pytest.raises(CertificateError, match="gradient-finite-differences is off"):
        _export(model, tmp_path, MIDDLE["branches", format_])


@pytest.mark.parametrize("format_", ["QDQ", "QOperator"])
def test_taking_every_integer_for_the_scores_is_caught(
    format_: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The certificate finds the score's own integers by itself."""

    def every_integer(seeds: Any) -> set[Any]:
        return {value for node in next(iter(seeds)).producer().graph for value in node.outputs}

    monkeypatch.setattr("camgraph_exporter.vjp.driver.integers_of", every_integer)
    model = quantise(float_net(RESIDUAL), Quantiser(format_))
    with pytest.raises(CertificateError, match="gradient-finite-differences is off"):
        _export(model, tmp_path, MIDDLE["residual", format_])


def test_a_wrong_scale_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The certificate can fail: a surrogate that is not the model does not round to the model's integers."""
    from camgraph_exporter.quantised import forms  # noqa: PLC0415 - only broken here

    right = forms.FORMS["", "QLinearConv"]

    def wrong(node: Any) -> Any:
        form = right(node)
        x, w, *bias = form.operands
        scale = dataclasses.replace(w.quantisation, factor=1.3)
        return dataclasses.replace(form, operands=(x, dataclasses.replace(w, quantisation=scale), *bias))

    monkeypatch.setitem(forms.FORMS, ("", "QLinearConv"), wrong)
    model = quantise(float_net(BRANCHES), Quantiser("QOperator"))
    with pytest.raises(CertificateError, match="quantised-surrogate is off"):
        _export(model, tmp_path, "stem")
