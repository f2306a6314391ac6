"""A segmentation network whose weights were set by hand: it takes a pixel for the class of its colour.

Pixels are red, green or black, so that the prediction of a scene of rectangles is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from support.nets import Net
from support.tasks import export_model

HEIGHT, WIDTH = 48, 64
CLASSES = ("nothing", "red", "green")
INPUT = ("--divisor", "255", "--mean", "0", "--std", "1")


@dataclass(frozen=True)
class Block:
    """A rectangle of a class: rows and columns."""

    name: str
    rows: slice
    columns: slice

    def mask(self, shape: tuple[int, int]) -> np.ndarray:
        """uint8 [H, W], 1 inside."""
        mask = np.zeros(shape, np.uint8)
        mask[self.rows, self.columns] = 1
        return mask


def picture(blocks: Sequence[Block], shape: tuple[int, int] = (HEIGHT, WIDTH)) -> np.ndarray:
    """The blocks on black, uint8 [H, W, 3]."""
    pixels = np.zeros((*shape, 3), np.uint8)
    for block in blocks:
        pixels[block.rows, block.columns, CLASSES.index(block.name) - 1] = 255
    return pixels


def segmenter(*, single: bool = False) -> onnx.ModelProto:
    """Image [N, 3, 48, 64] to scores [N, 3, 48, 64]; of a single mask to the probability of red, [N, 1, 48, 64]."""
    net = Net()
    image = net.image(("N", 3, HEIGHT, WIDTH))
    same = net.weight(np.eye(3, dtype=np.float32)[:, :, None, None])
    features = net.node("Relu", net.node("Conv", image, same), name="features")
    rows = [[4, -4, 0]] if single else [[-1, -1, 0], [4, -4, 0], [-4, 4, 0]]
    bias = net.weight(np.array([-2] if single else [1, 0, 0], np.float32))
    weights = net.weight(np.array(rows, np.float32)[:, :, None, None])
    scores = net.node("Conv", features, weights, bias, name="scores")
    if single:
        scores = net.node("Sigmoid", scores, name="mask")
    return net.model(scores, shapes={scores: ("N", len(rows), HEIGHT, WIDTH)})


def export_segmenter(folder: Path, *options: str, single: bool = False) -> Path:
    """Exports the network with what is said of its input; returns the graph's path."""
    onnx.save(segmenter(single=single), folder / "source.onnx")
    (folder / "labels.txt").write_text("\n".join(CLASSES[:2] if single else CLASSES))
    path = folder / "colours.onnx"
    export_model(folder / "source.onnx", path, "--labels", folder / "labels.txt", *INPUT, *options)
    return path
