"""Transformers and networks in their manner: tokens with and without class token, windows, channels-last blocks."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - its usual name


class Attention(nn.Module):
    """Multi-head self-attention over [N, S, K]; a bias on the scores holds relative positions and masks."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.joint = nn.Linear(width, 3 * width)
        self.project = nn.Linear(width, width)

    def forward(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        batch, count, width = x.shape
        split = self.joint(x).reshape(batch, count, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        query, key, value = split[0], split[1], split[2]
        scores = query @ key.transpose(-2, -1) * (width // self.heads) ** -0.5
        weights = (scores if bias is None else scores + bias).softmax(-1)
        return self.project((weights @ value).transpose(1, 2).reshape(batch, count, width))


class TransformerBlock(nn.Module):
    def __init__(self, width: int, heads: int, *, fused: bool) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.fused = fused
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True) if fused else Attention(width, heads)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm1(x)
        x = x + (self.attention(y, y, y, need_weights=False)[0] if self.fused else self.attention(y))
        return x + self.mlp(self.norm2(x))


class VisionTransformer(nn.Module):
    """Dosovitskiy et al. 2021. `pool`: "class" reads the class token, "mean" averages the patches.

    `registers`: further tokens in front that belong to no patch (Darcet et al. 2024). `fused`: PyTorch's own attention.
    `any_size`: positions that do not depend on the size of the image.
    """

    def __init__(self, pool: str, *, registers: int = 0, fused: bool = False, any_size: bool = False) -> None:
        super().__init__()
        width = 16
        self.pool = pool
        self.embed = nn.Conv2d(3, width, 8, 8)
        self.prefix = nn.Parameter(torch.zeros(1, registers + (pool == "class"), width))
        self.position = nn.Parameter(torch.zeros(1, 1 if any_size else 12, width))
        self.blocks = nn.Sequential(*(TransformerBlock(width, 4, fused=fused) for _ in range(3)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x).flatten(2).transpose(1, 2) + self.position
        x = torch.cat([self.prefix.expand(x.shape[0], -1, -1), x], 1)
        x = self.norm(self.blocks(x))
        return self.head(x[:, 0] if self.pool == "class" else x[:, self.prefix.shape[1] :].mean(1))


class WindowBlock(nn.Module):
    """Attention inside windows of a map [N, h, w, K]; with `shift` the windows lie in between (Liu et al. 2021)."""

    def __init__(self, width: int, heads: int, size: int, window: int, shift: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
        self.size, self.window, self.shift = size, window, shift
        self.position = nn.Parameter(torch.zeros(heads, window**2, window**2))
        self.register_buffer("mask", self._mask(), persistent=False)

    def _mask(self) -> Tensor:
        """Forbid attention between places that were far apart before the shift: [windows, 1, S, S]."""
        regions = torch.zeros(1, self.size, self.size, 1)
        cuts = (slice(0, -self.window), slice(-self.window, -self.shift), slice(-self.shift, None))
        for i, rows in enumerate(cuts if self.shift else ()):
            for j, columns in enumerate(cuts):
                regions[:, rows, columns] = 3 * i + j
        flat = self._windows(regions).squeeze(-1)
        return torch.where(flat[:, None, :, None] == flat[:, None, None, :], 0.0, -100.0)

    def _windows(self, x: Tensor) -> Tensor:
        batch, count, width = x.shape[0], self.size // self.window, x.shape[3]
        tiles = x.view(batch, count, self.window, count, self.window, width).permute(0, 1, 3, 2, 4, 5)
        return tiles.reshape(-1, self.window**2, width)

    def _whole(self, windows: Tensor, batch: int) -> Tensor:
        count, width = self.size // self.window, windows.shape[2]
        tiles = windows.view(batch, count, count, self.window, self.window, width).permute(0, 1, 3, 2, 4, 5)
        return tiles.reshape(batch, self.size, self.size, width)

    def forward(self, x: Tensor) -> Tensor:
        batch = x.shape[0]
        y = torch.roll(self.norm1(x), (-self.shift, -self.shift), (1, 2)) if self.shift else self.norm1(x)
        bias = self.position + self.mask.repeat(batch, 1, 1, 1)
        y = self._whole(self.attention(self._windows(y), bias), batch)
        x = x + (torch.roll(y, (self.shift, self.shift), (1, 2)) if self.shift else y)
        return x + self.mlp(self.norm2(x))


class PatchMerging(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * width)
        self.reduce = nn.Linear(4 * width, 2 * width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        corners = [x[:, i::2, j::2] for j in (0, 1) for i in (0, 1)]
        return self.reduce(self.norm(torch.cat(corners, -1)))


class Swin(nn.Module):
    """Liu et al. 2021. `rows`: keeps its maps as [N, h * w, K] between blocks, as the first published code did."""

    def __init__(self, *, rows: bool) -> None:
        super().__init__()
        self.rows = rows
        self.embed = nn.Conv2d(3, 8, 4, 4)
        self.blocks = nn.ModuleList([
            WindowBlock(8, 2, 8, 4, 0), WindowBlock(8, 2, 8, 4, 2), PatchMerging(8), WindowBlock(16, 2, 4, 2, 1)
        ])  # fmt: skip  # a table, in rows of its own
        self.norm = nn.LayerNorm(16)
        self.head = nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x).permute(0, 2, 3, 1)
        for block in self.blocks:
            size = x.shape[1]
            x = block(x)
            if self.rows:
                size = size // 2 if isinstance(block, PatchMerging) else size
                x = x.flatten(1, 2) * 1.5
                x = x.unflatten(1, (size, size))
        return self.head(self.norm(x).mean((1, 2)))


class ConvNextBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(width, width, 7, padding=3, groups=width)
        self.norm = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.scale = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        return x + (self.scale * self.mlp(y)).permute(0, 3, 1, 2)


class ConvNext(nn.Module):
    """Liu et al. 2022: channels-first between blocks, channels-last inside."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 4, 4)
        self.blocks = nn.Sequential(ConvNextBlock(8), nn.Conv2d(8, 12, 2, 2), ConvNextBlock(12))
        self.norm = nn.LayerNorm(12)
        self.head = nn.Linear(12, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.norm(self.blocks(self.stem(x)).mean((2, 3))))


class ChannelsLast(nn.Module):
    """A network whose maps are channels-last up to the pooling, as in code that was ported from TensorFlow."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 4, 4)
        self.mix = nn.ModuleList(nn.Linear(8, 8) for _ in range(2))
        self.head = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x).permute(0, 2, 3, 1)
        for linear in self.mix:
            x = x + F.gelu(linear(x), approximate="tanh")
        return self.head(x.amax((1, 2)))
