"""Convolutional classifiers, one a family, as small as they can be with every operator of the family in place."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - its usual name


def conv_norm(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """Convolution and batch normalisation that keep the size but for the stride."""
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs))


class Lenet(nn.Module):
    """LeCun et al. 1998: pooled convolutions flattened into fully connected layers."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 6, 5), nn.Tanh(), nn.AvgPool2d(2), nn.Conv2d(6, 16, 5), nn.Tanh(), nn.MaxPool2d(2)
        )
        self.classifier = nn.Sequential(nn.Linear(16 * 4 * 4, 20), nn.ReLU(), nn.Linear(20, 10))

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x).flatten(1))


class ResidualBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = conv_norm(inputs, outputs, 3, stride)
        self.second = conv_norm(outputs, outputs, 3)
        self.shortcut = conv_norm(inputs, outputs, 1, stride) if stride > 1 or inputs != outputs else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.second(F.relu(self.first(x))) + self.shortcut(x))


class Residual(nn.Module):
    """He et al. 2016."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(conv_norm(3, 8, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1))
        self.blocks = nn.Sequential(ResidualBlock(8, 8, 1), ResidualBlock(8, 16, 2), ResidualBlock(16, 16, 1))
        self.head = nn.Linear(16, 7)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(self.stem(x)).mean((2, 3)))


class DenseLayer(nn.Module):
    def __init__(self, inputs: int, growth: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList([nn.BatchNorm2d(inputs), nn.BatchNorm2d(2 * growth)])
        self.narrow = nn.Conv2d(inputs, 2 * growth, 1, bias=False)
        self.wide = nn.Conv2d(2 * growth, growth, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        new = self.wide(F.relu(self.norms[1](self.narrow(F.relu(self.norms[0](x))))))
        return torch.cat([x, new], 1)


class Dense(nn.Module):
    """Huang et al. 2017: normalisation first, every layer's output concatenated."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 2, 1)
        self.first = nn.Sequential(DenseLayer(8, 4), DenseLayer(12, 4))
        self.transition = nn.Sequential(nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 8, 1), nn.AvgPool2d(2))
        self.second = nn.Sequential(DenseLayer(8, 4), DenseLayer(12, 4), nn.BatchNorm2d(16))
        self.head = nn.Linear(16, 6)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.second(self.transition(self.first(self.stem(x)))))
        return self.head(F.adaptive_avg_pool2d(x, 1).flatten(1))


class InceptionBlock(nn.Module):
    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.direct = conv_norm(inputs, 4, 1)
        self.small = nn.Sequential(conv_norm(inputs, 4, 1), nn.ReLU(), conv_norm(4, 6, 3))
        self.row_and_column = nn.Sequential(
            nn.Conv2d(inputs, 4, (1, 5), padding=(0, 2)), nn.ReLU(), nn.Conv2d(4, 4, (5, 1), padding=(2, 0))
        )
        self.pooled = nn.Sequential(nn.MaxPool2d(3, 1, 1), conv_norm(inputs, 4, 1))

    def forward(self, x: Tensor) -> Tensor:
        branches = [self.direct(x), self.small(x), self.row_and_column(x), self.pooled(x)]
        return F.relu(torch.cat(branches, 1))


class Inception(nn.Module):
    """Szegedy et al. 2015: branches side by side; pooling that rounds sizes up, local response normalisation."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2), nn.ReLU(), nn.MaxPool2d(3, 2, ceil_mode=True), nn.LocalResponseNorm(5, alpha=0.5)
        )
        self.blocks = nn.Sequential(InceptionBlock(8), InceptionBlock(18))
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(18, 5))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(self.stem(x)))


class SqueezeExcite(nn.Module):
    """Hu et al. 2018, with the hard sigmoid of MobileNetV3."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, channels // 2, 1)
        self.excite = nn.Conv2d(channels // 2, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        scale = self.excite(F.relu(self.squeeze(x.mean((2, 3), keepdim=True))))
        return x * F.hardsigmoid(scale)


class InvertedBlock(nn.Module):
    """Expand, filter each channel by itself, project; the activation and the attention vary with the family."""

    def __init__(self, inputs: int, outputs: int, stride: int, activation: type[nn.Module], *, excite: bool) -> None:
        super().__init__()
        wide = 3 * inputs
        self.body = nn.Sequential(
            conv_norm(inputs, wide, 1),
            activation(),
            conv_norm(wide, wide, 3, stride, groups=wide),
            activation(),
            SqueezeExcite(wide) if excite else nn.Identity(),
            conv_norm(wide, outputs, 1),
        )
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x) if self.adds else self.body(x)


class InvertedResidual(nn.Module):
    """Sandler et al. 2018 (MobileNetV2), and with `excite` Howard et al. 2019 (MobileNetV3)."""

    def __init__(self, activation: type[nn.Module], *, excite: bool) -> None:
        super().__init__()
        self.stem = nn.Sequential(conv_norm(3, 6, 3, 2), activation())
        self.blocks = nn.Sequential(
            InvertedBlock(6, 6, 1, activation, excite=excite),
            InvertedBlock(6, 8, 2, activation, excite=excite),
            InvertedBlock(8, 8, 1, activation, excite=excite),
        )
        self.last = nn.Sequential(conv_norm(8, 16, 1), activation())
        self.head = nn.Sequential(nn.Linear(16, 12), activation(), nn.Linear(12, 5))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(F.adaptive_avg_pool2d(self.last(self.blocks(self.stem(x))), 1).flatten(1))


class ShuffleBlock(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.body = nn.Sequential(
            conv_norm(half, half, 1),
            nn.ReLU(),
            conv_norm(half, half, 3, groups=half),
            conv_norm(half, half, 1),
            nn.ReLU(),
        )

    def forward(self, x: Tensor) -> Tensor:
        kept, changed = x.chunk(2, 1)
        joined = torch.cat([kept, self.body(changed)], 1)
        batch, channels, height, width = joined.shape
        return joined.view(batch, 2, channels // 2, height, width).transpose(1, 2).reshape(joined.shape)


class Shuffle(nn.Module):
    """Ma et al. 2018 (ShuffleNetV2): channels split, filtered in part, shuffled."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(conv_norm(3, 8, 3, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1))
        self.blocks = nn.Sequential(ShuffleBlock(8), ShuffleBlock(8))
        self.last = nn.Sequential(conv_norm(8, 12, 1), nn.ReLU())
        self.head = nn.Linear(12, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.last(self.blocks(self.stem(x))).mean((2, 3)))


class FullyConvolutional(nn.Module):
    """Takes images of any size: strided and dilated convolutions, bilinear upsampling, and a 1 x 1 classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.LeakyReLU(0.1))
        self.context = nn.Sequential(nn.Conv2d(8, 8, 3, 1, 2, dilation=2), nn.GroupNorm(2, 8), nn.SiLU())
        self.down = nn.MaxPool2d(2)
        self.head = nn.Conv2d(16, 5, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        wide = F.interpolate(self.down(self.context(x)), size=x.shape[2:], mode="bilinear", align_corners=False)
        return self.head(torch.cat([x, wide], 1)).mean((2, 3))
