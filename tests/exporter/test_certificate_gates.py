"""Gates that rounding decides, and gradients that are zero: what the certificate may neither refuse nor let pass."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from camgraph_exporter import Exported
from camgraph_exporter.certificate import batches
from camgraph_exporter.certificate.certify import certify
from camgraph_exporter.certificate.checks import float32_close
from camgraph_exporter.certificate.subject import Subject
from camgraph_exporter.certificate.telling import draw_telling
from camgraph_exporter.errors import CertificateError
from camgraph_exporter.graph.measures import relative_l2
from camgraph_runtime.run.engine import Engine
from support.exporting import in_memory
from support.nets import Net, trunk

# They cancel but for the rounding of float32, which so decides the sign of what they are multiplied by.
_CANCELLING = (0.1, 0.2, -0.3)


def _thrice(net: Net) -> str:
    one = net.node("Sigmoid", net.conv(net.image(), (3, 1)))
    return net.node("Concat", one, one, one, axis=1, name="thrice")


def gated_by_a_convolution() -> onnx.ModelProto:
    """Inputs of a ReLU that are zero but for rounding: float32 and float64 open other gates."""
    net = Net()
    strengths = net.rng.uniform(1, 3, (16, 1, 1, 1))
    kernel = net.weight((strengths * np.reshape(_CANCELLING, (1, 3, 1, 1))).astype(np.float32))
    gated = net.node("Relu", net.node("Conv", _thrice(net), kernel, kernel_shape=[1, 1]))
    return net.model(net.pooled_head(gated, 16))


def gated_by_a_product() -> onnx.ModelProto:
    """The same in a hidden layer, whose sums are made in another order for a batch than for one image."""
    net = Net()
    flat = net.node("Flatten", _thrice(net), axis=1)
    rows = net.rng.standard_normal((64, 256))
    weights = net.weight(np.concatenate([rows * factor for factor in _CANCELLING], axis=1).astype(np.float32))
    hidden = net.node("Relu", net.node("Gemm", flat, weights, transB=1))
    return net.model(net.linear(hidden, 64, 5, name="logits"))


NETS = {"convolution": gated_by_a_convolution, "product": gated_by_a_product}
gated = pytest.mark.parametrize("net", NETS)


def _subject(made: Exported, **options: Any) -> Subject:
    return Subject(made.model, made.manifest, Engine(made.model.SerializeToString()), **options)


@gated
@pytest.mark.parametrize("skippable", [False, True])
def test_gates_that_rounding_decides_do_not_refuse_a_right_graph(net: str, skippable: bool, tmp_path: Path) -> None:
    options = {"layers": ("thrice",), "skippable": skippable, "gradients": True}
    made = in_memory(NETS[net](), tmp_path, **options)
    assert made.manifest.certificate.passed
    for seed in range(1, 4):
        certificate = certify(_subject(made, seed=seed))
        assert certificate.passed, certificate


@gated
def test_float64_from_the_image_would_open_other_gates(net: str, tmp_path: Path) -> None:
    """The test of the test: without the forward values of the run, the same comparison is off by far more."""
    subject = _subject(in_memory(NETS[net](), tmp_path, layers=("thrice",)))
    telling = draw_telling(subject, "gradient-float32", 1, 2)
    name = subject.layers[0].weights_tensor
    assert relative_l2(telling.found[name], subject.run_in_float64(telling.feeds, [name])[name]) > 1e-2
    assert float32_close(subject).error <= 1e-6


@gated
def test_a_runtime_that_is_wrong_is_caught_at_any_gate(
    net: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Gradients of float32 that are off by one in ten thousand, as a kernel that loses sums would give them."""
    subject = _subject(in_memory(NETS[net](), tmp_path, layers=("thrice",)))
    monkeypatch.setattr(subject, "load", lambda model, **options: _Off(Engine(model.SerializeToString(), **options)))
    assert float32_close(subject).error == pytest.approx(1e-4, rel=0.1)
    assert not float32_close(subject).passed


def test_a_batch_that_is_computed_wrongly_is_caught(tmp_path: Path) -> None:
    """The engine loses a part of the first image's weights in every batch; its single runs are right."""
    made = in_memory(gated_by_a_convolution(), tmp_path, layers=("thrice",))
    subject = _subject(made)
    subject.load = lambda model, **options: _Off(Engine(model.SerializeToString(), **options))  # type: ignore[assignment,method-assign,return-value]  # it plays onnxruntime
    subject.engine = _Off(subject.engine, first_only=True)  # type: ignore[assignment]  # as above
    assert not batches.batch_consistent(subject).passed


class _Off:
    """An engine whose weights are off by one in ten thousand; with `first_only` in the first of several images."""

    def __init__(self, engine: Engine, *, first_only: bool = False) -> None:
        self.inputs, self._engine, self._first_only = engine.inputs, engine, first_only

    def run(self, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        found = self._engine.run(feeds)
        for name in {"weights"} & found.keys():
            wrong = slice(0, 1 if len(found[name]) > 1 else 0) if self._first_only else slice(None)
            found[name][wrong] *= np.float32(1 + 1e-4)
        return found


def _two_scales() -> onnx.ModelProto:
    """A detector of 2 classes whose 256 boxes read one map, and 4 another."""
    net = Net()
    fine = net.node("Relu", net.conv(net.image(), (3, 8)), name="fine")
    coarse = net.node(
        "Relu",
        net.conv(net.node("AveragePool", fine, kernel_shape=[8, 8], strides=[8, 8]), (8, 8), kernel=1),
        name="coarse",
    )
    heads = []
    for value, side in ((fine, 16), (coarse, 2)):
        scores = net.node("Reshape", net.conv(value, (8, 2), kernel=1), net.ints(0, 2, side * side))
        heads.append(net.node("Transpose", scores, perm=[0, 2, 1]))
    return net.model(net.node("Concat", *heads, axis=1, name="scores"), shapes={"scores": ("N", 260, 2)})


def test_targets_are_drawn_that_a_layer_has_gradients_for(tmp_path: Path) -> None:
    """Four boxes of 260 depend on the coarse map: the first random ones rarely do, and zeros would prove nothing."""
    options = {"layers": ("coarse",), "task": "detection", "class_axis": 2}
    made = in_memory(_two_scales(), tmp_path, **options)
    subject = _subject(made)
    for check in ("gradient-float32", "gradient-finite-differences", "anything"):
        telling = draw_telling(subject, check, 1, 2)
        assert not telling.silent
        assert np.abs(telling.found["weights"]).max() > 0
        assert telling.feeds["target"].shape == telling.feeds["anchor"].shape == (1, 2)


def _dead(net: Net, last: str) -> str:
    """Units that no image opens."""
    return net.node("Relu", net.node("Sub", net.node("Sigmoid", last), net.weight(np.float32(2))))


def _cut_off(net: Net, last: str) -> str:
    return net.node("Clip", last, net.weight(np.float32(1e4)), net.weight(np.float32(2e4)))


@pytest.mark.parametrize("silence", [_dead, _cut_off])
@pytest.mark.parametrize("layers", [("last",), ("other", "last")])
def test_a_layer_without_gradients_is_refused_though_another_has_some(
    silence: Any, layers: tuple[str, ...], tmp_path: Path
) -> None:
    net = Net()
    last = trunk(net, net.image())
    other = net.node("Relu", net.conv("block", (8, 16), strides=[2, 2]), name="other")
    model = net.model(net.pooled_head(net.node("Add", other, silence(net, last)), 16))
    with pytest.raises(CertificateError, match=r"layer 'last' is zero everywhere .* every target .* random images"):
        in_memory(model, tmp_path, layers=layers)
