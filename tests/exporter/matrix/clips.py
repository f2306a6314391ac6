"""Networks of clips and volumes: windows over three axes, frames one by one, attention over space and time."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool3d, relu


class Residual3d(nn.Module):
    """A 3-D ResNet: strided blocks with shortcuts, for [N, C, T, H, W]."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv3d(3, 8, (3, 5, 5), (1, 2, 2), (1, 2, 2)), nn.BatchNorm3d(8), nn.ReLU())
        self.pool = nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1))
        self.blocks = nn.Sequential(_Block3d(8, 8, 1), _Block3d(8, 12, 2))
        self.head = nn.Linear(12, 5)

    def forward(self, x: Tensor) -> Tensor:
        """Return scores [N, 5]."""
        return self.head(self.blocks(self.pool(self.stem(x))).mean((2, 3, 4)))


class _Block3d(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv3d(inputs, outputs, 3, stride, 1),
            nn.BatchNorm3d(outputs),
            nn.ReLU(),
            nn.Conv3d(outputs, outputs, 3, padding=1, groups=2),
            nn.BatchNorm3d(outputs),
        )
        self.shortcut = nn.Conv3d(inputs, outputs, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        return relu(self.body(x) + self.shortcut(x))


class Factorised(nn.Module):
    """R(2+1)D with windows of three axes: over space alone, then over time alone (Tran et al. 2018)."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.Sequential(self._block(3, 8, 2), self._block(8, 12, 2))
        self.head = nn.Linear(12, 4)

    @staticmethod
    def _block(inputs: int, outputs: int, stride: int) -> nn.Module:
        return nn.Sequential(
            nn.Conv3d(inputs, outputs + 2, (1, 3, 3), (1, stride, stride), (0, 1, 1)),
            nn.BatchNorm3d(outputs + 2),
            nn.ReLU(),
            nn.Conv3d(outputs + 2, outputs, (3, 1, 1), (stride, 1, 1), (1, 0, 0)),
            nn.BatchNorm3d(outputs),
            nn.ReLU(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return scores [N, 4]."""
        return self.head(self.blocks(x).mean((2, 3, 4)))


class FactorisedByReshapes(nn.Module):
    """(2+1)D as code without 3-D windows writes it: frames go into the batch, then every place does."""

    def __init__(self) -> None:
        super().__init__()
        self.space = nn.ModuleList([nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 10, 3, 1, 1)])
        self.time = nn.ModuleList([nn.Conv1d(8, 8, 3, padding=1), nn.Conv1d(10, 10, 3, stride=2, padding=1)])
        self.head = nn.Linear(10, 4)

    def forward(self, x: Tensor) -> Tensor:
        """Return scores [N, 4] of clips [N, C, T, H, W]."""
        for space, time in zip(self.space, self.time, strict=True):
            n, c, t, h, w = x.shape
            x = relu(space(x.transpose(1, 2).reshape(n * t, c, h, w)))
            _, c, h, w = x.shape
            x = x.reshape(n, t, c, h, w).permute(0, 3, 4, 2, 1)
            x = relu(time(x.reshape(n * h * w, c, t)))
            x = x.reshape(n, h, w, c, x.shape[-1]).permute(0, 3, 4, 1, 2)
        return self.head(x.mean((2, 3, 4)))


class Inception3d(nn.Module):
    """I3D: towers of 3-D windows with a pooled one beside them, unpadded strides, a head of 1 x 1 x 1 windows."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv3d(3, 8, 5, 2, 2), nn.BatchNorm3d(8), nn.ReLU())
        self.towers = nn.ModuleList(
            [
                nn.Conv3d(8, 4, 1),
                nn.Sequential(nn.Conv3d(8, 4, 1), nn.ReLU(), nn.Conv3d(4, 6, 3, padding=1)),
                nn.Sequential(nn.MaxPool3d(3, 1, 1), nn.Conv3d(8, 4, 1)),
            ]
        )
        self.pool = nn.MaxPool3d(2, 2, ceil_mode=True)
        self.last = nn.Sequential(nn.Conv3d(14, 12, 3, padding=1), nn.ReLU())
        self.head = nn.Conv3d(12, 5, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return scores [N, 5]: the mean over time of what each moment says."""
        x = self.stem(x)
        x = relu(torch.cat([tower(x) for tower in self.towers], dim=1))
        x = self.last(self.pool(x))
        x = avg_pool3d(x, (2, x.shape[3], x.shape[4]), (1, 1, 1))
        return self.head(x).squeeze(4).squeeze(3).mean(2)


class SlowFast(nn.Module):
    """Two pathways of one clip, every fourth frame and all of them, which meet on the way (Feichtenhofer 2019)."""

    def __init__(self) -> None:
        super().__init__()
        self.slow = nn.Sequential(nn.Conv3d(3, 8, (1, 3, 3), (1, 2, 2), (0, 1, 1)), nn.ReLU())
        self.fast = nn.Sequential(nn.Conv3d(3, 4, (3, 3, 3), (1, 2, 2), (1, 1, 1)), nn.ReLU())
        self.lateral = nn.Conv3d(4, 4, (5, 1, 1), (4, 1, 1), (2, 0, 0))
        self.slow_last = nn.Sequential(nn.Conv3d(12, 10, 3, padding=1), nn.ReLU())
        self.fast_last = nn.Sequential(nn.Conv3d(4, 6, 3, padding=1), nn.ReLU())
        self.head = nn.Linear(16, 4)
        self.register_buffer("chosen", torch.arange(0, 16, 4))

    def forward(self, x: Tensor) -> Tensor:
        """Return scores [N, 4]."""
        slow, fast = self.slow(torch.index_select(x, 2, self.chosen)), self.fast(x)
        slow = self.slow_last(torch.cat([slow, self.lateral(fast)], dim=1))
        fast = self.fast_last(fast)
        return self.head(torch.cat([slow.mean((2, 3, 4)), fast.mean((2, 3, 4))], dim=1))


class MeanOfFrames(nn.Module):
    """A network of single images on every frame of [N, T, C, H, W], whose scores are averaged (TSN)."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, 1),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Conv2d(8, 10, 3, 2, 1),
            nn.BatchNorm2d(10),
            nn.ReLU(),
        )
        self.head = nn.Linear(10, 5)

    def forward(self, x: Tensor) -> Tensor:
        """Return scores [N, 5]."""
        n, t = x.shape[:2]
        y = self.body(x.flatten(0, 1)).mean((2, 3))
        return self.head(y).view(n, t, -1).mean(1)


class ShiftedFrames(nn.Module):
    """Some channels are moved on by a frame, and some back, between windows over space (TSM, Lin et al. 2019)."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, 2, 1)
        self.blocks = nn.ModuleList([nn.Conv2d(8, 8, 3, padding=1) for _ in range(2)])
        self.head = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        """Return scores [N, 4]."""
        n, t = x.shape[:2]
        x = relu(self.first(x.flatten(0, 1)))
        for block in self.blocks:
            x = relu(x + block(self._shift(x, n, t)))
        return self.head(x.mean((2, 3)).view(n, t, -1).mean(1))

    @staticmethod
    def _shift(x: Tensor, n: int, t: int) -> Tensor:
        x = x.view(n, t, *x.shape[1:])
        still = torch.zeros_like(x[:, :1])
        earlier = torch.cat([x[:, 1:, :2], still[:, :, :2]], dim=1)
        later = torch.cat([still[:, :, 2:4], x[:, :-1, 2:4]], dim=1)
        return torch.cat([earlier, later, x[:, :, 4:]], dim=2).flatten(0, 1)


class FramesLast(nn.Module):
    """Channels last, as Keras has them: [N, T, H, W, C], with layers that work on them there."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv3d(3, 8, (2, 4, 4), (2, 4, 4))
        self.mix = nn.Sequential(nn.LayerNorm(8), nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 8))
        self.head = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        """Return scores [N, 4]."""
        x = self.stem(x.permute(0, 4, 1, 2, 3)).permute(0, 2, 3, 4, 1)
        x = x + self.mix(x)
        return self.head(x.mean((1, 2, 3)))


class Tubelets(nn.Module):
    """A transformer on blocks of several frames, all in one row of tokens (ViViT, VideoMAE)."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Conv3d(3, 12, (2, 4, 4), (2, 4, 4))
        self.place = nn.Parameter(torch.zeros(1, 4 * 4 * 6, 12))
        self.blocks = nn.ModuleList([_Attention(12) for _ in range(2)])
        self.norm = nn.LayerNorm(12)
        self.head = nn.Linear(12, 4)

    def forward(self, x: Tensor) -> Tensor:
        """Return scores [N, 4]."""
        x = self.embed(x).flatten(2).transpose(1, 2) + self.place
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x).mean(1))


class _Attention(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(self.norm(x)).chunk(3, -1)
        weights = (q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5).softmax(-1)
        return x + self.out(weights @ v)


class DividedAttention(nn.Module):
    """Attention over time at each place, then over the places of each frame (TimeSformer)."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, 12, 4, 4)
        self.time, self.space = _Attention(12), _Attention(12)
        self.head = nn.Linear(12, 4)

    def forward(self, x: Tensor) -> Tensor:
        """Return scores [N, 4] of clips [N, C, T, H, W]."""
        n, _, t = x.shape[:3]
        x = self.embed(x.transpose(1, 2).flatten(0, 1)).flatten(2).transpose(1, 2)  # [N T, places, K]
        places, width = x.shape[1:]
        x = x.view(n, t, places, width).transpose(1, 2).reshape(n * places, t, width)
        x = self.time(x)
        x = x.view(n, places, t, width).transpose(1, 2).reshape(n * t, places, width)
        x = self.space(x)
        return self.head(x.mean(1).view(n, t, -1).mean(1))


class TwoStreams(nn.Module):
    """Colours and flow of one clip, side by side in its channels, each with a network of its own (two-stream I3D)."""

    def __init__(self) -> None:
        super().__init__()
        self.colour, self.flow = (
            nn.Sequential(
                nn.Conv3d(channels, 8, 3, 2, 1), nn.BatchNorm3d(8), nn.ReLU(), nn.Conv3d(8, 8, 3, padding=1), nn.ReLU()
            )
            for channels in (3, 2)
        )
        self.heads = nn.ModuleList([nn.Linear(8, 4), nn.Linear(8, 4)])

    def forward(self, x: Tensor) -> Tensor:
        """Return scores [N, 4]."""
        streams = (self.colour(x[:, :3]), self.flow(x[:, 3:]))
        scores = [head(stream.mean((2, 3, 4))) for head, stream in zip(self.heads, streams, strict=True)]
        return scores[0] + scores[1]


class Volume(nn.Module):
    """A network of CT volumes: down, up again with transposed windows, and a score of the whole."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Sequential(nn.Conv3d(1, 8, 3, 2, 1), nn.InstanceNorm3d(8, affine=True), nn.LeakyReLU(0.1))
        self.bottom = nn.Sequential(
            nn.AvgPool3d(2, 2, ceil_mode=True), nn.Conv3d(8, 10, 3, padding=1), nn.LeakyReLU(0.1)
        )
        self.up = nn.Sequential(nn.ConvTranspose3d(10, 6, 2, 2), nn.LeakyReLU(0.1))
        self.head = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Return scores [N, 3]."""
        return self.head(self.up(self.bottom(self.down(x))).amax((2, 3, 4)))
