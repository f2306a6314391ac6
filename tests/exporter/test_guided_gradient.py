"""The guided image gradient against guided backpropagation written with PyTorch's autograd."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from camgraph_exporter import export
from support.exporting import images, run_graph
from support.nets import Net


def _net() -> onnx.ModelProto:
    net = Net(seed=10)
    x = net.node("Relu", net.conv(net.image(), (3, 8)))
    x = net.node("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    x = net.node("Relu", net.conv(x, (8, 8)), name="last")
    return net.model(net.pooled_head(x, 8))


def _by_torch(model: onnx.ModelProto, image: np.ndarray, target: int) -> np.ndarray:
    torch: Any = pytest.importorskip("torch", reason="PyTorch is the independent oracle of this test")

    class GuidedRelu(torch.autograd.Function):  # type: ignore[misc]  # torch is Any here
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x.clamp(min=0)

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g.clamp(min=0) * (ctx.saved_tensors[0] > 0)

    weights = [torch.from_numpy(numpy_helper.to_array(t).copy()) for t in model.graph.initializer]
    x = torch.from_numpy(image).requires_grad_()
    y = GuidedRelu.apply(torch.conv2d(x, weights[0], weights[1], padding=1))
    y = torch.max_pool2d(y, 2)
    y = GuidedRelu.apply(torch.conv2d(y, weights[2], weights[3], padding=1))
    logits = y.mean(dim=(2, 3)) @ weights[4].T + weights[5]
    logits[:, target].sum().backward()
    gradient: np.ndarray = x.grad.numpy()
    return gradient


def test_it_is_guided_backpropagation(tmp_path: Path) -> None:
    model = _net()
    onnx.save(model, tmp_path / "source.onnx")
    made = export(tmp_path / "source.onnx", tmp_path / "cam.onnx", guided=True)
    assert made.manifest.image_gradient_tensor == "image_gradient"
    image = images((2, 3, 16, 16))
    found = run_graph(tmp_path / "cam.onnx", image, [1, 4])["image_gradient"]
    assert found.shape == (2, 2, 3, 16, 16)
    for t, target in enumerate([1, 4]):
        expected = _by_torch(model, image, target)
        assert np.abs(expected).max() > 0
        np.testing.assert_allclose(found[:, t], expected, rtol=1e-4, atol=1e-7)
