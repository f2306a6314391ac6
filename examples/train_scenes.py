"""Trains the small networks of docs/segmentation.md on the scenes of scenes.py, and draws the photos of that page.

    python examples/train_scenes.py [NAME ...]

It takes a few minutes on one core, and writes to examples/models and examples/photos. Names are road, land, clinic and
cars; by default all are trained.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from scenes import KINDS, Kind, Scene
from torch import nn

HERE = Path(__file__).resolve().parent
CHANNELS, STEPS, BATCH = (8, 16, 32), 400, 16
CELL = 8  # pixels of the detector's cells
PHOTO_SCALE, PHOTO_SEEDS = 4, {"road": 35, "land": 15, "clinic": 9}


def block(before: int, after: int, stride: int) -> nn.Sequential:
    """A convolution with what follows it."""
    return nn.Sequential(nn.Conv2d(before, after, 3, stride, 1), nn.BatchNorm2d(after), nn.ReLU())


class Encoder(nn.Module):  # type: ignore[misc]  # PyTorch is not looked at, see pyproject.toml
    """Maps of 1/2, 1/4 and 1/8 of the image's size."""

    def __init__(self) -> None:
        super().__init__()
        pairs = zip((3, *CHANNELS), CHANNELS, strict=False)
        self.stages = nn.ModuleList(nn.Sequential(block(a, b, 2), block(b, b, 1)) for a, b in pairs)

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Return the maps, the finest first."""
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps


class Segmenter(nn.Module):  # type: ignore[misc]  # PyTorch is not looked at, see pyproject.toml
    """An encoder and a decoder with side paths: [N, C, H, W], probabilities unless it is trained."""

    def __init__(self, weights: tuple[float, ...]) -> None:
        super().__init__()
        small, middle, wide = CHANNELS
        self.encoder = Encoder()
        self.up = nn.ModuleList([block(wide + middle, middle, 1), block(middle + small, small, 1)])
        self.last = nn.Conv2d(small, len(weights), 3, 1, 1)
        self.weights = torch.tensor(weights, dtype=torch.float32)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return scores in training, else probabilities."""
        fine, middle, x = self.encoder(image)
        for side, layer in zip((middle, fine), self.up, strict=True):
            x = layer(torch.cat([nn.functional.interpolate(x, scale_factor=2.0), side], 1))
        logits: torch.Tensor = self.last(nn.functional.interpolate(x, scale_factor=2.0))
        return logits if self.training else logits.softmax(1)

    def loss(self, image: torch.Tensor, scenes: list[Scene]) -> torch.Tensor:
        """Return how far the classes of pixels are from the truth."""
        truth = np.stack([scene.truth for scene in scenes])
        return nn.functional.cross_entropy(self(image), torch.from_numpy(truth), self.weights)


class Detector(nn.Module):  # type: ignore[misc]  # PyTorch is not looked at, see pyproject.toml
    """From each cell of 8 x 8 pixels a box, centre and size in pixels, and how likely it is a thing: [N, cells, 5]."""

    def __init__(self, height: int, width: int) -> None:
        super().__init__()
        self.encoder = Encoder()
        self.head = nn.Sequential(block(CHANNELS[-1], CHANNELS[-1], 1), nn.Conv2d(CHANNELS[-1], 5, 3, 1, 1))
        axes = [torch.arange(length // CELL) * CELL + CELL / 2 for length in (width, height)]
        self.register_buffer("centres", torch.stack(torch.meshgrid(*axes, indexing="xy")))

    def raw(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Boxes [N, 4, h, w] and logits [N, 1, h, w]."""
        found = self.head(self.encoder(image)[-1])
        size = 16 * torch.exp(found[:, 2:4].clamp(-4, 4))
        return torch.cat([self.centres + found[:, :2], size], 1), found[:, 4:]

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return boxes and probabilities in one tensor."""
        boxes, logits = self.raw(image)
        return torch.cat([boxes.flatten(2), torch.sigmoid(logits.flatten(2))], 1).transpose(1, 2)

    def loss(self, image: torch.Tensor, scenes: list[Scene]) -> torch.Tensor:
        """Return how far cells and boxes are from the things of the scenes."""
        boxes, logits = self.raw(image)
        wanted, off = torch.zeros_like(logits), []
        for number, scene in enumerate(scenes):
            for thing in scene.things:
                places = np.argwhere(thing)
                (top, left), (bottom, right) = places.min(0), places.max(0) + 1
                box = torch.tensor([(left + right) / 2, (top + bottom) / 2, right - left, bottom - top])
                row, column = int(box[1]) // CELL, int(box[0]) // CELL
                wanted[number, 0, row, column] = 1
                off.append(nn.functional.smooth_l1_loss(boxes[number, :, row, column], box.float()))
        return nn.functional.binary_cross_entropy_with_logits(logits, wanted) * 10 + 0.1 * torch.stack(off).mean()


def as_input(scenes: list[Scene]) -> torch.Tensor:
    """Pictures as the networks take them: float32 [N, 3, H, W] in 0..1."""
    pictures = np.stack([scene.picture for scene in scenes])
    return torch.from_numpy(pictures.transpose(0, 3, 1, 2) / np.float32(255))


def trained(network: Segmenter | Detector, kind: Kind) -> nn.Module:
    """The network after some steps, each on new scenes."""
    rng, optimiser = np.random.default_rng(1), torch.optim.Adam(network.parameters(), 3e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, STEPS)
    for _ in range(STEPS):
        scenes = [kind.draw(rng, *kind.size) for _ in range(BATCH)]
        optimiser.zero_grad()
        network.loss(as_input(scenes), scenes).backward()
        optimiser.step()
        schedule.step()
    return network.eval()


def write_model(name: str) -> None:
    """Train one network, and write it with its labels."""
    torch.manual_seed(0)
    kind = KINDS.get(name, KINDS["road"])
    labels = kind.classes if name in KINDS else ("car",)
    network = trained(Segmenter(kind.weights) if name in KINDS else Detector(*kind.size), kind)
    torch.onnx.export(
        network, (torch.zeros(1, 3, *kind.size),), HERE / "models" / f"{name}.onnx", dynamo=False, opset_version=17,
        input_names=["image"], output_names=["classes" if name in KINDS else "boxes"],
        dynamic_axes={"image": {0: "N"}},
    )  # fmt: skip  # arguments that belong together share a row
    (HERE / "models" / f"{name}_classes.txt").write_text("\n".join(labels) + "\n")


def main() -> None:
    """Train, and write models, labels and photos."""
    torch.set_num_threads(1)
    for name in sys.argv[1:] or (*KINDS, "cars"):
        write_model(name)
    for name, kind in KINDS.items():
        scene = kind.draw(np.random.default_rng(PHOTO_SEEDS[name]), *(PHOTO_SCALE * side for side in kind.size))
        Image.fromarray(scene.picture).save(HERE / "photos" / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
