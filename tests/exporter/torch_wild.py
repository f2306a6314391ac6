"""PyTorch modules as people have them: wrapped, of several inputs, with a backward of their own, faulty in odd ways."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from exporter.matrix.transformers import TransformerBlock


class Net(nn.Module):
    """Two convolutions, pooled, and one linear layer of five classes."""

    def __init__(self, channels: int = 3) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(channels, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.conv2, self.norm2 = nn.Conv2d(8, 12, 3, stride=2, padding=1), nn.BatchNorm2d(12)
        self.head = nn.Linear(12, 5)

    def maps(self, x: Tensor) -> Tensor:
        return torch.relu(self.norm2(self.conv2(torch.relu(self.norm1(self.conv1(x))))))

    def forward(self, x: Tensor) -> Any:
        return self.head(self.maps(x).mean((2, 3)))


class Nested(nn.Module):
    """A network whose first part is wrapped, as VGG's `features` often is."""

    def __init__(self, wrap: Any) -> None:
        super().__init__()
        body = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU())
        self.features, self.head = wrap(body), nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x).mean((2, 3)))


class WithMeta(Net):
    def forward(self, x: Tensor, meta: Tensor, scale: float = 1.0) -> Tensor:
        return super().forward(x) * scale + meta


class MetaFirst(Net):
    def forward(self, meta: Tensor, x: Tensor) -> Tensor:
        return super().forward(x) + meta.sum(1, keepdim=True)


class _Reversed(torch.autograd.Function):
    @staticmethod
    def forward(_context: Any, x: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def backward(_context: Any, gradient: Tensor) -> Tensor:
        return -gradient


class Reversal(Net):
    def forward(self, x: Tensor) -> Tensor:
        return self.head(_Reversed.apply(self.maps(x)).mean((2, 3)))


class Detached(Net):
    def forward(self, x: Tensor) -> Tensor:
        maps = self.maps(x)
        return self.head(maps.mean((2, 3)).detach() + maps.amax((2, 3)))


class DataAttribute(Net):
    def forward(self, x: Tensor) -> Tensor:
        maps = self.maps(x)
        return self.head(maps.mean((2, 3)) * maps.amax((2, 3)).data)


class WithoutGradients(Net):
    def forward(self, x: Tensor) -> Tensor:
        maps = self.maps(x)
        with torch.no_grad():
            gate = torch.sigmoid(maps.mean((2, 3)))
        return self.head(maps.amax((2, 3)) * gate)


class DetachedWeights(Net):
    """Cuts off what does not depend on the image: no gradient is lost."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + self.head.bias.detach()


class AlwaysRandom(Net):
    def forward(self, x: Tensor) -> Tensor:
        return self.head(nn.functional.dropout(self.maps(x), 0.5).mean((2, 3)))


class NoisyInput(Net):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x + 0.1 * torch.randn_like(x))


class BranchOnData(Net):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x * 2 if x.mean() > 0 else x)


class IndexFromData(Net):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x * 2 if int(x.abs().sum()) % 2 else -x)


class Remembers(Net):
    """Keeps what it has computed, and counts its runs in a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("runs", torch.zeros((), dtype=torch.int64))
        self.last: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        self.last = self.maps(x)
        self.runs += 1
        nn.functional.batch_norm(self.last, self.norm2.running_mean, self.norm2.running_var, training=True)
        return self.head(self.last.mean((2, 3)))


class VectorAndMap(nn.Module):
    def __init__(self, *, map_first: bool) -> None:
        super().__init__()
        self.conv, self.map_first = nn.Conv2d(3, 8, 3), map_first

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        maps = torch.relu(self.conv(x))
        vector = maps.mean((2, 3))
        return (maps, vector) if self.map_first else (vector, maps)


class UsesVectorAndMap(nn.Module):
    def __init__(self, *, map_first: bool = False) -> None:
        super().__init__()
        self.both, self.last = VectorAndMap(map_first=map_first), nn.Conv2d(8, 8, 3)
        self.head, self.map_first = nn.Linear(8, 5), map_first

    def forward(self, x: Tensor) -> Tensor:
        maps, vector = self.both(x) if self.map_first else reversed(self.both(x))
        return self.head(torch.relu(self.last(maps)).mean((2, 3)) + vector)


class QueryTokens(nn.Module):
    """A detector in the manner of YOLOS (Fang et al. 2021): it reads only the tokens after those of the patches."""

    def __init__(self, *, from_end: bool) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, 16, 4, 4)
        self.first, self.queries = nn.Parameter(torch.zeros(1, 1, 16)), nn.Parameter(torch.randn(1, 4, 16))
        self.blocks = nn.Sequential(*(TransformerBlock(16, 4, fused=False) for _ in range(2)))
        self.norm, self.head = nn.LayerNorm(16), nn.Linear(16, 3)
        self.start = -4 if from_end else 17

    def forward(self, x: Tensor) -> Tensor:
        patches = self.embed(x).flatten(2).transpose(1, 2)
        rows = [part.expand(x.shape[0], -1, -1) for part in (self.first, self.queries)]
        tokens = self.norm(self.blocks(torch.cat([rows[0], patches, rows[1]], 1)))
        return self.head(tokens[:, self.start :])
