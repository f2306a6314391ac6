"""Factories of small PyTorch modules, some of them faulty, for the tests of the PyTorch frontend."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Block(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.drop = nn.Dropout(0.5)

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.norm(self.drop(self.conv(x))) + x)


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 2, 1)
        self.layer1 = nn.Sequential(Block(8), Block(8))
        self.layer2 = nn.Sequential(nn.MaxPool2d(2), Block(8))
        self.spare, self.idle = nn.Conv2d(8, 8, 1), nn.Identity()
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.idle(self.layer2(self.layer1(self.stem(x)))).mean((2, 3)))


class Shared(nn.Module):
    """Runs one activation twice."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3)
        self.relu = nn.ReLU()
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.relu(self.second(self.relu(self.first(x)))).mean((2, 3)))


class Lists(nn.Module):
    """Has a part that returns no tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.pyramid = Pyramid()
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.pyramid(x)["fine"].mean((2, 3)))


class Pyramid(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"fine": self.conv(x)}


class Branches(nn.Module):
    """Takes a path that depends on the image, which cannot be traced."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        if float(y.mean()) > 1e6:
            y = y * 2
        return self.head(torch.relu(y).mean((2, 3)))


class OneImage(nn.Module):
    """Has the batch size written into its reshapes."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        maps = torch.relu(self.conv(x))
        return self.head(maps.reshape(1, 8, -1).mean(2))


class WindowAttention(nn.Module):
    """Attends within windows, whose queries have five axes; half of the windows see half of their cells."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, 24, 8, 8), nn.BatchNorm2d(8)
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.stem(x).flatten(2).unflatten(2, (2, 8)).unflatten(1, (3, 2, 4)).permute(1, 0, 2, 4, 5, 3)
        mask = torch.ones(2, 1, 8, dtype=torch.bool)
        mask[1, :, 4:] = False
        y = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self.head(self.norm(y.permute(0, 1, 4, 2, 3).reshape(len(x), 8, 4, 4)).mean((2, 3)))


def _seeded(kind: type[nn.Module]) -> nn.Module:
    torch.manual_seed(0)
    module = kind()
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            assert part.running_mean is not None
            assert part.running_var is not None
            part.running_mean.normal_(0.0, 0.2)
            part.running_var.uniform_(0.5, 1.5)
    return module


def network() -> nn.Module:
    return _seeded(Network)


def with_example() -> tuple[nn.Module, Tensor]:
    return _seeded(Network), torch.zeros(1, 3, 24, 40)


def shared() -> nn.Module:
    return _seeded(Shared)


def lists() -> nn.Module:
    return _seeded(Lists)


def branches() -> nn.Module:
    return _seeded(Branches)


def one_image() -> nn.Module:
    return _seeded(OneImage)


def window_attention() -> nn.Module:
    return _seeded(WindowAttention)


def failing() -> nn.Module:
    raise RuntimeError("the checkpoint is missing\nsecond line")


def number() -> int:
    return 3


not_callable = 3
