"""Transformers that carry windows or patches in with the batch, and never lay their cells out as a map again."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from exporter.matrix.transformers import Attention, TransformerBlock


class UnitBlock(nn.Module):
    """Attention inside the units of a row, whose outermost elements are those of a unit (Ryali et al. 2023)."""

    def __init__(self, width: int, unit: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.attention = Attention(width, 2)
        self.unit = unit

    def forward(self, x: Tensor) -> Tensor:
        batch, count, width = x.shape
        units = self.norm(x).view(batch, self.unit, -1, width).transpose(1, 2).reshape(-1, self.unit, width)
        y = self.attention(units).view(batch, -1, self.unit, width).transpose(1, 2)
        return x + y.reshape(batch, count, width)


class Hiera(nn.Module):
    """Ryali et al. 2023: the elements of each unit come apart once, and poolings take them away one after the other."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, 8, 4, 4)
        self.position = nn.Parameter(torch.zeros(1, 96, 8))
        self.early, self.middle = UnitBlock(8, 16), UnitBlock(8, 4)
        self.last = TransformerBlock(8, 2, fused=False)
        self.norm = nn.LayerNorm(8)
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x).flatten(2).transpose(1, 2) + self.position
        x = self._unrolled(x, 8, 12)
        x = self.early(x).view(x.shape[0], 4, -1, 8).amax(1)
        x = self.middle(x).view(x.shape[0], 4, -1, 8).amax(1)
        return self.head(self.norm(self.last(x).mean(1)))

    def _unrolled(self, x: Tensor, height: int, width: int) -> Tensor:
        shape = x.shape
        x = x.view(-1, height, width, shape[2])
        for _ in range(2):
            height, width = height // 2, width // 2
            x = x.view(-1, height, 2, width, 2, shape[2]).permute(0, 2, 4, 1, 3, 5)
            x = x.reshape(-1, height, width, shape[2])
        return x.reshape(shape)


class PixelsInPatches(nn.Module):
    """Han et al. 2021 (Transformer in Transformer): the patches go through a network of their own, as a batch."""

    def __init__(self) -> None:
        super().__init__()
        self.pixels = nn.Conv2d(3, 4, 3, 2, 1)
        self.inner = TransformerBlock(4, 2, fused=False)
        self.project = nn.Linear(64, 16)
        self.token = nn.Parameter(torch.zeros(1, 1, 16))
        self.blocks = nn.Sequential(*(TransformerBlock(16, 4, fused=False) for _ in range(3)))
        self.norm = nn.LayerNorm(16)
        self.head = nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        batch = x.shape[0]
        patches = x.reshape(batch, 3, 3, 8, 4, 8).permute(0, 2, 4, 1, 3, 5).reshape(-1, 3, 8, 8)
        inner = self.inner(self.pixels(patches).flatten(2).transpose(1, 2))
        x = self.project(inner.reshape(batch, 12, 64))
        x = self.blocks(torch.cat([self.token.expand(batch, -1, -1), x], 1))
        return self.head(self.norm(x)[:, 0])
