"""Detectors of two scales that say of each candidate how likely it is an object, as people export them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from exporter.matrix.convolutional import conv_norm

CLASSES, STRIDES = 3, (8, 16)


class Backbone(nn.Module):
    """Maps of strides 8 and 16; the finer one is made from the coarser one, too, as in a pyramid."""

    def __init__(self) -> None:
        super().__init__()
        self.fine = nn.Sequential(conv_norm(3, 8, 3, 4), nn.ReLU(), conv_norm(8, 8, 3, 2), nn.ReLU())
        self.coarse = nn.Sequential(conv_norm(8, 12, 3, 2), nn.ReLU())
        self.neck = nn.Sequential(conv_norm(20, 8, 3), nn.ReLU())

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        fine = self.fine(x)
        coarse = self.coarse(fine)
        return self.neck(torch.cat([nn.functional.interpolate(coarse, scale_factor=2.0), fine], 1)), coarse


def cells(x: Tensor) -> Tensor:
    """Column and row of each cell of a map, [h, w, 2]."""
    down, across = torch.meshgrid(torch.arange(x.shape[2]), torch.arange(x.shape[3]), indexing="ij")
    return torch.stack([across, down], 2).to(x.dtype)


class Anchors(nn.Module):
    """As YOLOv5 and YOLOv7: one convolution for boxes of two anchors, objectness and classes, rows [N, boxes, 5 + C].

    `form`: "decoded"; "in place", where boxes are written over their sigmoids; "masks", where each part has a sigmoid
    of its own and coefficients of masks come last; "logits", without sigmoids and boxes; "maps", the convolutions'
    numbers by scale.
    """

    def __init__(self, form: str = "decoded") -> None:
        super().__init__()
        self.form, self.numbers = form, 5 + CLASSES + 4 * (form == "masks")
        self.backbone = Backbone()
        self.heads = nn.ModuleList(nn.Conv2d(channels, 2 * self.numbers, 1) for channels in (8, 12))
        self.register_buffer("anchors", torch.tensor([[10.0, 13.0], [30.0, 20.0]]))

    def forward(self, x: Tensor) -> Tensor | list[Tensor]:
        maps = [head(level) for head, level in zip(self.heads, self.backbone(x), strict=True)]
        maps = [y.view(y.shape[0], 2, -1, *y.shape[2:]).permute(0, 1, 3, 4, 2) for y in maps]
        if self.form == "maps":
            return maps
        return torch.cat([self.rows(y, stride) for y, stride in zip(maps, STRIDES, strict=True)], 1)

    def rows(self, y: Tensor, stride: int) -> Tensor:
        if self.form == "logits":
            return y.reshape(y.shape[0], -1, self.numbers)
        if self.form == "masks":
            xy, wh, scores, *rest = y.split((2, 2, 1 + CLASSES, 4), 4)
            xy, wh, scores = xy.sigmoid(), wh.sigmoid(), scores.sigmoid()
        else:
            xy, wh, scores, *rest = y.sigmoid().split((2, 2, 1 + CLASSES), 4)
        xy = (xy * 2 - 0.5 + cells(y[:, 0].permute(0, 3, 1, 2))) * stride
        wh = (wh * 2) ** 2 * self.anchors[:, None, None]
        if self.form == "in place":
            y = y.sigmoid()
            y[..., 0:2], y[..., 2:4] = xy, wh
            return y.reshape(y.shape[0], -1, self.numbers)
        return torch.cat([xy, wh, scores, *rest], 4).view(y.shape[0], -1, self.numbers)


class Decoupled(nn.Module):
    """As YOLOX (Ge et al. 2021): convolutions of their own for boxes, objectness and classes, rows [N, boxes, 5 + C].

    `decodes`: boxes are centre and size in pixels; else the program after it decodes them. `sigmoid`: scores are
    probabilities. `order`: of the parts.
    """

    def __init__(
        self, *, decodes: bool = True, sigmoid: bool = True, order: tuple[str, ...] = ("box", "objectness", "classes")
    ) -> None:
        super().__init__()
        self.decodes, self.sigmoid, self.order = decodes, sigmoid, order
        self.backbone = Backbone()
        self.towers = nn.ModuleDict({part: self._towers() for part in ("box", "classes")})
        widths = {"box": 4, "objectness": 1, "classes": CLASSES}
        self.heads = nn.ModuleDict(
            {part: nn.ModuleList(nn.Conv2d(8, widths[part], 1) for _ in STRIDES) for part in order}
        )

    def _towers(self) -> nn.ModuleList:
        return nn.ModuleList(nn.Sequential(conv_norm(channels, 8, 3), nn.ReLU()) for channels in (8, 12))

    def forward(self, x: Tensor) -> Tensor:
        maps = self.backbone(x)
        rows = torch.cat([self.level(i, level).flatten(2) for i, level in enumerate(maps)], 2).permute(0, 2, 1)
        if not self.decodes:
            return rows
        places = torch.cat([cells(level).view(-1, 2) for level in maps])
        sizes = [level.shape[2] * level.shape[3] for level in maps]
        strides = torch.cat([torch.full((size, 1), float(s)) for s, size in zip(STRIDES, sizes, strict=True)]).to(x)
        return torch.cat([(rows[..., :2] + places) * strides, rows[..., 2:4].exp() * strides, rows[..., 4:]], 2)

    def level(self, number: int, x: Tensor) -> Tensor:
        parts = []
        for part in self.order:
            tower = self.towers["classes" if part == "classes" else "box"][number]
            y = self.heads[part][number](tower(x))
            parts.append(y.sigmoid() if self.sigmoid and part != "box" else y)
        return torch.cat(parts, 1)


class Multiplied(Anchors):
    """As the YOLOv4 for PyTorch of Tianxiaomo: the graph multiplies, and gives [N, boxes, C] beside boxes."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        rows = super().forward(x)
        middle, size = rows[..., :2], rows[..., 2:4]
        return torch.cat([middle - size / 2, middle + size / 2], 2), rows[..., 5:] * rows[..., 4:5]


class OneConvolution(nn.Module):
    """Four offsets and the classes' logits from one convolution, [N, 4 + C, cells], which tells nothing of either."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = Backbone()
        self.head = nn.Conv2d(8, 4 + CLASSES, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.backbone(x)[0]).flatten(2)


def product_odds(rows: Tensor) -> Tensor:
    """The log odds of objectness times class, [N, boxes, C], of rows with probabilities."""
    return torch.logit(rows[..., 4:5] * rows[..., 5 : 5 + CLASSES])
