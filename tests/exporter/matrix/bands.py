"""Networks for images of many bands, as satellites take them."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - its usual name

from exporter.matrix.convolutional import ResidualBlock, conv_norm


class BandResidual(nn.Module):
    """A residual network whose first convolution takes all bands, as those that are trained on BigEarthNet."""

    def __init__(self, bands: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(conv_norm(bands, 8, 3, 2), nn.ReLU())
        self.blocks = nn.Sequential(ResidualBlock(8, 8, 1), ResidualBlock(8, 16, 2))
        self.head = nn.Linear(16, 7)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(self.stem(x)).mean((2, 3)))


class BandGroups(nn.Module):
    """Two sensors with stems of their own that are concatenated, and a ratio of two bands (NDVI) beside them."""

    def __init__(self, bands: int) -> None:
        super().__init__()
        self.split = bands - 2
        self.optical = nn.Sequential(conv_norm(self.split, 8, 3, 2), nn.ReLU())
        self.radar = nn.Sequential(conv_norm(2, 4, 3, 2), nn.ReLU())
        self.index = nn.Sequential(conv_norm(1, 2, 3, 2), nn.ReLU())
        self.last = nn.Sequential(conv_norm(14, 16, 3, 2), nn.ReLU())
        self.head = nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        red, infrared = x[:, 2:3], x[:, 3:4]
        index = (infrared - red) / (infrared.abs() + red.abs() + 1)
        parts = [self.optical(x[:, : self.split]), self.radar(x[:, self.split :]), self.index(index)]
        return self.head(self.last(torch.cat(parts, 1)).amax((2, 3)))


class BandSegmenter(nn.Module):
    """Depthwise and pointwise convolutions with dilation, logits of each pixel: a small land-cover network."""

    def __init__(self, bands: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            conv_norm(bands, bands, 3, groups=bands), nn.GELU(), conv_norm(bands, 8, 1), nn.ReLU()
        )
        self.down = nn.Sequential(conv_norm(8, 12, 3, 2), nn.ReLU())
        self.wide = nn.Sequential(nn.Conv2d(12, 12, 3, padding=2, dilation=2), nn.ReLU())
        self.head = nn.Conv2d(20, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        fine = self.stem(x)
        coarse = F.interpolate(self.wide(self.down(fine)), scale_factor=2.0, mode="bilinear")
        return self.head(torch.cat([fine, coarse], 1))
