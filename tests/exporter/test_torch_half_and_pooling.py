"""PyTorch modules in half precision, and with adaptive poolings that the exporter takes apart, against autograd."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from camgraph_exporter import export
from camgraph_runtime.run.engine import Engine


class Plain(nn.Module):
    """Convolutions with their activations apart, and a linear head on the mean."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.second, self.last = nn.Conv2d(8, 12, 3, stride=2, padding=1), nn.Conv2d(12, 12, 1)
        self.head = nn.Linear(12, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.norm(self.first(x)))
        return self.head(torch.relu(self.last(nn.functional.silu(self.second(x)))).mean((2, 3)))


class Gated(nn.Module):
    """A block that scales its channels by what it sees of them, and adds its input again."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.squeeze = nn.Conv2d(3, 16, 3, stride=2, padding=1), nn.Linear(16, 16)
        self.block, self.head = nn.Conv2d(16, 16, 3, padding=1, groups=4), nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.stem(x))
        gate = torch.sigmoid(self.squeeze(x.mean((2, 3))))[:, :, None, None]
        return self.head((x + gate * torch.relu(self.block(x))).mean((2, 3)))


class Pooled(nn.Module):
    """A VGG in small: its adaptive pooling is from fewer cells to more, or between sizes that do not divide."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(4))
        self.pool = nn.AdaptiveAvgPool2d(size)
        self.hidden, self.head = nn.Linear(16 * size * size, 64), nn.Linear(64, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(self.features(x)).flatten(1)
        return self.head(torch.relu(self.hidden(x)))


def _alpha(module: nn.Module, layer: str, image: np.ndarray, targets: list[int]) -> np.ndarray:
    """PyTorch's weights [T, K] for one image, in double precision."""
    kept: list[Tensor] = []
    module = module.double().eval()
    hook = module.get_submodule(layer).register_forward_hook(lambda _part, _inputs, output: kept.append(output))
    scores = module(torch.from_numpy(image.astype(np.float64)))
    hook.remove()
    rows = [torch.autograd.grad(scores[0, t], kept[0], retain_graph=True)[0][0] for t in targets]
    return np.stack([row.mean((1, 2)).numpy() for row in rows])


def _weights(module: nn.Module, example: Tensor, layer: str, image: np.ndarray, targets: list[int]) -> np.ndarray:
    made = export(module, example_input=example, layers=(layer,))
    assert made.manifest.certificate.passed
    assert made.manifest.layers[0].alias == layer
    name = made.manifest.input.tensor.name
    feeds = {name: image, made.manifest.target.target_input: np.asarray([targets])}
    found: np.ndarray = Engine(made.model.SerializeToString()).run(feeds)[made.manifest.layers[0].weights_tensor][0]
    return found


@pytest.mark.parametrize(
    ("build", "layer"), [(Plain, "norm"), (Plain, "second"), (Plain, "last"), (Gated, "stem"), (Gated, "block")]
)
def test_layers_of_a_half_precision_module_are_found(build: type[nn.Module], layer: str) -> None:
    torch.manual_seed(0)
    module = build().half().eval()
    image = np.random.default_rng(0).standard_normal((1, 3, 32, 32)).astype(np.float16)
    found = _weights(module, torch.zeros(1, 3, 32, 32).half(), layer, image, [0, 3])
    expected = _alpha(module, layer, image, [0, 3])
    assert np.linalg.norm(found - expected) <= 2e-2 * np.linalg.norm(expected)


@pytest.mark.parametrize("size", [7, 5])
def test_an_adaptive_pooling_is_the_same_in_every_run(size: int) -> None:
    """From 4 x 4 cells to 7 x 7 or 5 x 5: cells are read several times, and their cotangents must all be added up."""
    torch.manual_seed(0)
    module = Pooled(size).eval()
    image = np.random.default_rng(0).standard_normal((1, 3, 16, 16)).astype(np.float32)
    found = _weights(module, torch.zeros(1, 3, 16, 16), "features.1", image, [1, 4])
    expected = _alpha(module, "features.1", image, [1, 4])
    assert np.linalg.norm(found - expected) <= 1e-5 * np.linalg.norm(expected)
