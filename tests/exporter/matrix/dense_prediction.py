"""Networks whose scores belong to pixels or boxes."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - its usual name

from exporter.matrix.convolutional import conv_norm


def _double(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(conv_norm(inputs, outputs, 3), nn.ReLU(), conv_norm(outputs, outputs, 3), nn.ReLU())


class UNet(nn.Module):
    """Ronneberger et al. 2015: logits [N, C, H, W] for segmentation."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.ModuleList([_double(3, 4), _double(4, 8)])
        self.bottleneck = _double(8, 16)
        self.up = nn.ModuleList([nn.ConvTranspose2d(16, 8, 2, 2), nn.ConvTranspose2d(8, 4, 2, 2)])
        self.decoder = nn.ModuleList([_double(16, 8), _double(8, 4)])
        self.head = nn.Conv2d(4, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        skips = []
        for block in self.encoder:
            x = block(x)
            skips.append(x)
            x = F.max_pool2d(x, 2)
        x = self.bottleneck(x)
        for up, block in zip(self.up, self.decoder, strict=True):
            x = block(torch.cat([skips.pop(), up(x)], 1))
        return self.head(x)


class PyramidDetector(nn.Module):
    """Lin et al. 2017 (feature pyramid and RetinaNet): class logits [N, boxes, C] of all levels, before suppression."""

    def __init__(self) -> None:
        super().__init__()
        self.classes, self.anchors = 4, 2
        self.levels = nn.ModuleList([
            nn.Sequential(conv_norm(3, 8, 3, 4), nn.ReLU()), nn.Sequential(conv_norm(8, 12, 3, 2), nn.ReLU())
        ])  # fmt: skip  # a table, in rows of its own
        self.lateral = nn.ModuleList([nn.Conv2d(8, 8, 1), nn.Conv2d(12, 8, 1)])
        self.smooth = nn.ModuleList([nn.Conv2d(8, 8, 3, padding=1) for _ in range(2)])
        self.head = nn.Sequential(
            nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, self.anchors * self.classes, 3, padding=1)
        )

    def forward(self, x: Tensor) -> Tensor:
        fine = self.levels[0](x)
        coarse = self.levels[1](fine)
        top = self.lateral[1](coarse)
        bottom = self.lateral[0](fine) + F.interpolate(top, scale_factor=2.0, mode="nearest")
        maps = [self.head(smooth(level)) for smooth, level in zip(self.smooth, (bottom, top), strict=True)]
        return torch.cat([level.permute(0, 2, 3, 1).reshape(x.shape[0], -1, self.classes) for level in maps], 1)
