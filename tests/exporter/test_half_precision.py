"""Exports of float16 and bfloat16 networks: the forward stays, gradients are float32 and do not overflow."""

from __future__ import annotations

from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from camgraph_exporter import Exported, export
from camgraph_runtime.run.engine import Engine
from support.quantised_nets import BRANCHES, RESIDUAL, float_net, photos

NETS = {"residual": RESIDUAL, "branches": BRANCHES}
LAYERS = {"residual": ("auto", "block", "stem"), "branches": ("auto", "joined", "stem")}
nets = pytest.mark.parametrize("net", NETS)


def _halved(model: onnx.ModelProto, *, half_ends: bool, element: int = TensorProto.FLOAT16) -> onnx.ModelProto:
    """Return the network in half precision; `half_ends`: its input and output, too."""
    half = onnx.ModelProto()
    half.CopyFrom(model)
    dtype = np.float16 if element == TensorProto.FLOAT16 else ml_dtypes.bfloat16
    for tensor in half.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(dtype), tensor.name))
    image, output = half.graph.input[0], half.graph.output[0]
    if half_ends:
        image.type.tensor_type.elem_type = output.type.tensor_type.elem_type = element
        return half
    for node in half.graph.node:
        node.input[:] = ["narrow_image" if name == image.name else name for name in node.input]
        node.output[:] = ["narrow_output" if name == output.name else name for name in node.output]
    half.graph.node.insert(0, helper.make_node("Cast", [image.name], ["narrow_image"], to=element))
    half.graph.node.append(helper.make_node("Cast", ["narrow_output"], [output.name], to=TensorProto.FLOAT))
    return half


def _export(model: onnx.ModelProto, folder: Path, layer: str) -> Exported:
    onnx.save(model, folder / "model.onnx")
    return export(folder / "model.onnx", folder / "out.onnx", layers=(layer,))


def _weights(exported: Exported, image: np.ndarray) -> np.ndarray:
    name, dtype = exported.manifest.input.tensor.name, exported.manifest.input.tensor.dtype
    feeds = {name: image.astype(dtype), "target": np.full((len(image), 1), 3)}
    found = Engine(exported.model.SerializeToString()).run(feeds)
    assert found["weights"].dtype == found["activations"].dtype == found["target_score"].dtype == np.float32
    return found["weights"]


@nets
@pytest.mark.parametrize("half_ends", [False, True])
def test_float16_agrees_with_float32(net: str, half_ends: bool, tmp_path: Path) -> None:
    model = float_net(NETS[net])
    image = photos(4, seed=3)
    for layer in LAYERS[net]:
        reference = _weights(_export(model, tmp_path, layer), image)
        found = _weights(_export(_halved(model, half_ends=half_ends), tmp_path, layer), image)
        # What is left are ReLU gates near zero that half precision flips.
        assert np.linalg.norm(found - reference) <= 3e-2 * np.linalg.norm(reference)


def test_gradients_beyond_the_range_of_float16(tmp_path: Path) -> None:
    """Faint activations with a steep last layer: scores fit into float16, their gradients do not."""
    model = float_net(BRANCHES)
    for tensor in model.graph.initializer:
        factor = {
            "w0": 2.0**-9,
            "b0": 2.0**-9,
            "b1": 2.0**-9,
            "b2": 2.0**-9,
            "w3": 2.0**4,
            "b3": 2.0**-5,
            "w5": 2.0**15,
        }.get(tensor.name)
        if factor is not None:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * np.float32(factor), tensor.name))
    half = _halved(model, half_ends=True)
    image = photos(4, seed=3)
    reference = _weights(_export(model, tmp_path, "stem"), image)
    found = _weights(_export(half, tmp_path, "stem"), image)
    places = 12 * 12
    assert np.abs(found * places).max() > np.finfo(np.float16).max
    assert np.linalg.norm(found - reference) <= 3e-2 * np.linalg.norm(reference)


def test_gradients_below_the_range_of_float16(tmp_path: Path) -> None:
    """A flat last layer: the gradients would be zero in float16."""
    model = float_net(BRANCHES)
    for tensor in model.graph.initializer:
        if tensor.name == "w5":
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * np.float32(2.0**-12), tensor.name))
    found = _weights(_export(_halved(model, half_ends=True), tmp_path, "stem"), photos(4, seed=3))
    assert 0 < np.abs(found).max() < np.finfo(np.float16).smallest_normal
    reference = _weights(_export(model, tmp_path, "stem"), photos(4, seed=3))
    assert np.linalg.norm(found - reference) <= 3e-2 * np.linalg.norm(reference)


def test_bfloat16_weights_after_casts(tmp_path: Path) -> None:
    """Weights that are stored in bfloat16 and widened when the file is loaded run everywhere."""
    model = float_net(BRANCHES)
    stored = onnx.ModelProto()
    stored.CopyFrom(model)
    casts = []
    for tensor in stored.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT:
            array = numpy_helper.to_array(tensor).astype(ml_dtypes.bfloat16)
            casts.append(helper.make_node("Cast", [f"{tensor.name}_stored"], [tensor.name], to=TensorProto.FLOAT))
            tensor.CopyFrom(numpy_helper.from_array(array, f"{tensor.name}_stored"))
    nodes = [*casts, *stored.graph.node]
    del stored.graph.node[:]
    stored.graph.node.extend(nodes)
    image = photos(2, seed=3)
    reference = _weights(_export(model, tmp_path, "joined"), image)
    found = _weights(_export(stored, tmp_path, "joined"), image)
    assert np.linalg.norm(found - reference) <= 0.1 * np.linalg.norm(reference)


@pytest.mark.parametrize("half_ends", [False, True])
def test_bfloat16_arithmetic_is_lifted_to_float32(half_ends: bool, tmp_path: Path) -> None:
    """onnxruntime has no kernels for it on the CPU; the same weights in float32 are the reference."""
    model = float_net(BRANCHES)
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT:
            rounded = numpy_helper.to_array(tensor).astype(ml_dtypes.bfloat16).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(rounded, tensor.name))
    narrow = _halved(model, half_ends=half_ends, element=TensorProto.BFLOAT16)
    exported = _export(narrow, tmp_path, "joined")
    assert any("computes in bfloat16" in note for note in exported.manifest.notes)
    assert exported.manifest.input.tensor.dtype == "float32"
    kept = {tensor.data_type for tensor in exported.model.graph.initializer}
    assert TensorProto.BFLOAT16 in kept, "the weights are stored once, and as they were"
    image = photos(2, seed=3)
    found, reference = _weights(exported, image), _weights(_export(model, tmp_path, "joined"), image)
    np.testing.assert_allclose(found, reference, rtol=1e-5, atol=1e-6 * np.abs(reference).max())
