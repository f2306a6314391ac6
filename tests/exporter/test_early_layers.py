"""Where the later maps of a model cannot be read, `auto` says that the layer it takes is an early one."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from support.exporting import in_memory
from support.nets import Net, trunk

_EARLY = "is an early one"


def _mixed(*, mixers: int) -> onnx.ModelProto:
    """Tokens that a matrix drawn for each step mixes with each other, so that none keeps a place."""
    net = Net(seed=3)
    stem = net.node("Relu", net.conv(net.image(), (3, 8), strides=[2, 2]), name="stem")
    tokens = net.node("Reshape", stem, net.ints(0, 8, 64))
    for _ in range(mixers):
        tokens = net.node("Relu", net.node("MatMul", tokens, net.random(64, 64)))
    pooled = net.node("ReduceMean", tokens, axes=[2], keepdims=0)
    return net.model(net.linear(pooled, 8, 5, name="logits"))


@pytest.mark.parametrize(("mixers", "is_early"), [(6, True), (0, False)])
def test_a_layer_before_most_of_the_model_is_called_early(tmp_path: Path, mixers: int, is_early: bool) -> None:
    manifest = in_memory(_mixed(mixers=mixers), tmp_path).manifest
    assert [layer.name for layer in manifest.layers] == ["stem"]
    assert any(_EARLY in note for note in manifest.notes) == is_early


def test_linear_layers_after_the_last_map_make_it_no_early_one(tmp_path: Path) -> None:
    net = Net(seed=3)
    flat = net.node("Flatten", trunk(net, net.image()), axis=1)
    for before, after in ((1024, 512), (512, 512)):
        flat = net.node("Relu", net.linear(flat, before, after))
    manifest = in_memory(net.model(net.linear(flat, 512, 5, name="logits")), tmp_path).manifest
    assert [layer.name for layer in manifest.layers] == ["last"]
    assert not any(_EARLY in note for note in manifest.notes)
