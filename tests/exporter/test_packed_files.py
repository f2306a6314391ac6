"""Attention that onnxruntime's optimiser fused, and weights that its quantiser packed, are written out, or named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from support.exporting import exported, images, refused, run_graph
from support.nets import IMAGE, Net, trunk

OWN = "com.microsoft"
Build = Callable[[Net, str], str]


def _tokens(net: Net, maps: str) -> str:
    return net.node("Transpose", net.node("Reshape", maps, net.ints(0, 16, 64)), perm=[0, 2, 1], name="tokens")


def _own(net: Net, op_type: str, *inputs: str, **attributes: Any) -> str:
    return net.node(op_type, *inputs, domain=OWN, **attributes)


def _small(net: Net, *shape: int) -> str:
    return net.weight((net.rng.standard_normal(shape) * 0.3).astype(np.float32))


def _parts(net: Net, x: str, sizes: tuple[int, int, int] = (16, 16, 16)) -> list[str]:
    return [net.node("MatMul", x, net.random(16, size)) for size in sizes]


def _attention(net: Net, x: str, **attributes: Any) -> str:
    return _own(net, "Attention", x, net.random(16, 48), _small(net, 48), num_heads=4, **attributes)


def _uneven(net: Net, x: str) -> str:
    weights = net.random(16, 8 + 8 + 16)
    return _own(net, "Attention", x, weights, _small(net, 32), num_heads=2, qkv_hidden_sizes=[8, 8, 16])


def _biased(net: Net, x: str) -> str:
    bias = ("", "", _small(net, 1, 4, 64, 64))
    return _own(net, "Attention", x, net.random(16, 48), _small(net, 48), *bias, num_heads=4)


def _several_heads(net: Net, x: str) -> str:
    return _own(net, "MultiHeadAttention", *_parts(net, x), _small(net, 48), num_heads=4, scale=0.7)


def _plain_heads(net: Net, x: str) -> str:
    return _own(net, "MultiHeadAttention", *_parts(net, x), "", "", _small(net, 1, 4, 64, 64), num_heads=4)


def _packed(net: Net, x: str, *, bits: int, has_zeros: bool = False, bias: bool = False) -> str:
    """Weights [24, 48]: each row has three blocks with a scale each, and so two bytes of zero points of 4 bits."""
    wide = net.node("MatMul", x, net.random(16, 48))
    numbers = net.weight(net.rng.integers(0, 256, (24, 3, 2 * bits), dtype=np.uint8))
    scales = net.weight(net.rng.uniform(0.01, 0.05, 24 * 3).astype(np.float32))
    zeros = net.weight(net.rng.integers(0, 256, 24 * 2, dtype=np.uint8)) if has_zeros else ""
    more = ("", _small(net, 24)) if bias else ()
    made = _own(net, "MatMulNBits", wide, numbers, scales, zeros, *more, K=48, N=24, bits=bits, block_size=16)
    return net.node("MatMul", made, net.random(24, 16))


WRITTEN: dict[str, tuple[str, Build]] = {
    "Attention": ("Attention", _attention),
    "Attention, values of another size": ("Attention", _uneven),
    "Attention with a bias of places": ("Attention", _biased),
    "MultiHeadAttention": ("MultiHeadAttention", _several_heads),
    "MultiHeadAttention with a bias of places": ("MultiHeadAttention", _plain_heads),
    "4 bits": ("MatMulNBits", lambda net, x: _packed(net, x, bits=4)),
    "4 bits, zero points, a bias": (
        "MatMulNBits",
        lambda net, x: _packed(net, x, bits=4, has_zeros=True, bias=True),
    ),
    "8 bits": ("MatMulNBits", lambda net, x: _packed(net, x, bits=8)),
}


def _model(build: Build) -> onnx.ModelProto:
    net = Net(seed=5)
    x = build(net, _tokens(net, trunk(net, net.image())))
    return net.model(net.linear(net.node("ReduceMean", x, axes=[1], keepdims=0), 16, 5, name="logits"))


@pytest.mark.parametrize("layer", ["last", "auto"])
@pytest.mark.parametrize("name", WRITTEN)
def test_what_is_fused_or_packed_is_written_out(name: str, layer: str, tmp_path: Path) -> None:
    operator, build = WRITTEN[name]
    made = exported(_model(build), tmp_path, layers=(layer,), gradients=True)
    assert made.manifest.certificate.passed
    assert not [node for node in made.model.graph.node if node.domain]
    assert f"Its operators of onnxruntime's own ({operator}) are written out" in made.manifest.notes[0]
    image = images((2, *IMAGE[1:]))
    bare = onnxruntime.InferenceSession(str(tmp_path / "source.onnx"), providers=["CPUExecutionProvider"])
    [expected] = bare.run(["logits"], {"image": image})
    found = run_graph(tmp_path / "cam.onnx", image, [1, 3])
    np.testing.assert_allclose(found["logits"], expected, rtol=1e-4, atol=1e-5)


TOLD: dict[str, tuple[str, Build]] = {
    "causal": ("com.microsoft.Attention", lambda net, x: _attention(net, x, unidirectional=1)),
    "an order of the columns": (
        "com.microsoft.MatMulNBits",
        lambda net, x: _own(
            net,
            "MatMulNBits",
            x,
            net.weight(np.full((16, 1, 8), 0x97, np.uint8)),
            net.weight(np.full(16, 0.1, np.float32)),
            "",
            net.weight(np.zeros(16, np.int32)),
            K=16,
            N=16,
            bits=4,
            block_size=16,
        ),
    ),
}


@pytest.mark.parametrize("name", TOLD)
def test_what_has_no_plain_form_here_is_named(name: str, tmp_path: Path) -> None:
    operator, build = TOLD[name]
    said = refused(_model(build), tmp_path, "--layer", "last")
    assert f"{operator} (opset 1) at node 'node/" in said
