"""How much of a heatmap lies on the object that it explains, by method, and whether its hottest pixel does.

Two small networks are trained here on generated scenes of discs, squares and crosses on noise, whose places are known:
one segments, and one detects. Another model and a photo are taken with ``--model``; what full gradients cost is
measured there. Beside the methods stand two maps that know nothing of the network: a blob in the middle of the image,
and random cells.

    python benchmarks/heat_on_objects.py
    python benchmarks/heat_on_objects.py --model selfie.onnx --photo person.jpg --mask person.png
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from camgraph_core.place import Box
from camgraph_exporter import Input, export
from camgraph_runtime import Explainer, Target
from camgraph_runtime.maps.resize import resize_map
from camgraph_runtime.preprocess import decode_mask
from camgraph_runtime.run.threads import Threads

SIDE, CELL, KINDS = 64, 8, 3
METHODS = ("grad-cam", "hires-cam", "layer-cam")
SCENES, STEPS, BATCH = 100, 400, 16
PAIRS = 20


@dataclass(frozen=True)
class Scene:
    """A picture float32 [3, 64, 64] in 0..1, and the mask [64, 64] of each of its things with its kind."""

    picture: np.ndarray
    things: tuple[tuple[int, np.ndarray], ...]


def scene(rng: np.random.Generator) -> Scene:
    """Two or three things that do not touch, of random kinds, sizes and colours."""
    picture = rng.uniform(0, 0.5, (3, SIDE, SIDE)).astype(np.float32)
    down, across = np.mgrid[:SIDE, :SIDE]
    taken = np.zeros((SIDE, SIDE), bool)
    things = []
    for _ in range(20):
        half = int(rng.integers(5, 10))
        y, x = rng.integers(half, SIDE - half, 2)
        near = np.abs(down - y) + np.abs(across - x)
        side = np.maximum(np.abs(down - y), np.abs(across - x)) <= half
        kind = int(rng.integers(KINDS))
        arm = (np.abs(down - y) <= half // 3) | (np.abs(across - x) <= half // 3)
        mask = (side & ((down - y) ** 2 + (across - x) ** 2 <= half**2), side, side & arm)[kind]
        if taken[side].any() or near.min() > 0:
            continue
        taken |= side
        picture[:, mask] = rng.uniform(0.5, 1, 3)[:, None] + rng.normal(0, 0.05, (3, mask.sum()))
        things.append((kind, mask))
        if len(things) == 3:
            break
    return Scene(picture.clip(0, 1), tuple(things))


class Backbone(nn.Module):
    """Maps of 32 x 32, 16 x 16 and 8 x 8 cells."""

    def __init__(self) -> None:
        super().__init__()
        self.stages = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(before, after, 3, 2, 1), nn.BatchNorm2d(after), nn.ReLU(),
                nn.Conv2d(after, after, 3, 1, 1), nn.BatchNorm2d(after), nn.ReLU(),
            )
            for before, after in ((3, 16), (16, 32), (32, 64))
        )  # fmt: skip  # a layer and what follows it in a row

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps


class Segmenter(nn.Module):
    """An encoder and a decoder with side paths: [N, 4, 64, 64], the background first."""

    def __init__(self) -> None:
        super().__init__()
        self.down = Backbone()
        self.up = nn.ModuleList([nn.Conv2d(64 + 32, 32, 3, 1, 1), nn.Conv2d(32 + 16, 16, 3, 1, 1)])
        self.last = nn.Conv2d(16, 1 + KINDS, 3, 1, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        fine, middle, x = self.down(image)
        for side, layer in zip((middle, fine), self.up, strict=True):
            x = torch.relu(layer(torch.cat([nn.functional.interpolate(x, scale_factor=2.0), side], 1)))
        logits: torch.Tensor = self.last(nn.functional.interpolate(x, scale_factor=2.0))
        return logits

    def loss(self, image: torch.Tensor, scenes: list[Scene]) -> torch.Tensor:
        truth = np.zeros((len(scenes), SIDE, SIDE), np.int64)
        for i, one in enumerate(scenes):
            for kind, mask in one.things:
                truth[i, mask] = 1 + kind
        return nn.functional.cross_entropy(self(image), torch.from_numpy(truth))


class Detector(nn.Module):
    """A box and a score for each kind from each cell of 8 x 8 pixels: [N, 64, 4 + 3], centre and size in pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.down = Backbone()
        self.neck = nn.Sequential(nn.Conv2d(64, 64, 3, 1, 1), nn.ReLU())
        self.head = nn.Conv2d(64, 4 + KINDS, 3, 1, 1)
        centres = torch.arange(SIDE // CELL) * CELL + CELL / 2
        self.register_buffer("centres", torch.stack(torch.meshgrid(centres, centres, indexing="xy")))

    def raw(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        found = self.head(self.neck(self.down(image)[-1]))
        return torch.cat([self.centres + found[:, :2], 16 * torch.exp(found[:, 2:4].clamp(-4, 4))], 1), found[:, 4:]

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        boxes, logits = self.raw(image)
        return torch.cat([boxes.flatten(2), torch.sigmoid(logits.flatten(2))], 1).transpose(1, 2)

    def loss(self, image: torch.Tensor, scenes: list[Scene]) -> torch.Tensor:
        boxes, logits = self.raw(image)
        wanted = torch.zeros_like(logits)
        off = []
        for i, one in enumerate(scenes):
            for kind, mask in one.things:
                (top, left), (bottom, right) = (np.argwhere(mask).min(0), np.argwhere(mask).max(0) + 1)
                box = torch.tensor([(left + right) / 2, (top + bottom) / 2, right - left, bottom - top])
                row, column = int(box[1]) // CELL, int(box[0]) // CELL
                wanted[i, kind, row, column] = 1
                off.append(nn.functional.smooth_l1_loss(boxes[i, :, row, column], box.float()))
        return nn.functional.binary_cross_entropy_with_logits(logits, wanted) * 10 + 0.1 * torch.stack(off).mean()


def trained(network: Segmenter | Detector, rng: np.random.Generator) -> nn.Module:
    """The network after some steps on new scenes each."""
    optimiser = torch.optim.Adam(network.parameters(), 2e-3)
    for _ in range(STEPS):
        scenes = [scene(rng) for _ in range(BATCH)]
        optimiser.zero_grad()
        network.loss(torch.from_numpy(np.stack([one.picture for one in scenes])), scenes).backward()
        optimiser.step()
    return network.eval()


def of_scenes(explainer: Explainer, *, segments: bool, seed: int) -> Iterator[tuple[dict[str, np.ndarray], np.ndarray]]:
    """The maps of every thing of new scenes, each with the thing's mask."""
    rng = np.random.default_rng(seed)
    for one in (scene(rng) for _ in range(SCENES)):
        for kind, mask in one.things:
            target = Target.index(1 + kind) if segments else Target.index(kind, place=Box(_cell(mask)))
            others = [other for other, _ in one.things]
            if segments and others.count(kind) > 1:
                continue  # one map explains both
            maps = {
                method: explainer.explain(tensor=one.picture[None], targets=[target], method=method)
                .explanations[0]
                .heatmap
                for method in METHODS
            }
            yield maps, mask


def _cell(mask: np.ndarray) -> int:
    """The candidate box of the cell in which a thing has its middle."""
    low, high = np.argwhere(mask).min(0), np.argwhere(mask).max(0) + 1
    row, column = ((low + high) / 2).astype(int) // CELL
    return int(row) * (SIDE // CELL) + int(column)


def blind(shape: tuple[int, int], rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Maps that know nothing of the network."""
    down, across = (np.linspace(-1, 1, length) for length in shape)
    return {
        "blob in the middle": np.exp(-4 * (down[:, None] ** 2 + across**2)),
        "random cells": resize_map(rng.random((8, 8)).astype(np.float32), shape),
    }


def report(title: str, found: list[tuple[dict[str, np.ndarray], np.ndarray]]) -> None:
    """Print a row for each map: its mean share of heat on the object, and how often its hottest pixel is there."""
    rng = np.random.default_rng(0)
    rows: dict[str, list[tuple[float, bool]]] = {}
    for maps, mask in found:
        for name, heat in {**maps, **blind(mask.shape, rng)}.items():
            total = float(heat.sum())
            hottest = bool(mask.ravel()[heat.argmax()]) if total else False
            rows.setdefault(name, []).append((float(heat[mask].sum()) / total if total else 0.0, hottest))
    area = np.mean([mask.mean() for _, mask in found])
    print(f"\n{title}: {len(found)} objects, which cover {area:.3f} of the image\n")
    print("| map | share of the heat on the object | hottest pixel on it |\n| -- | -: | -: |")
    for name, values in rows.items():
        share, hits = np.mean(values, axis=0)
        print(f"| {name} | {share:.2f} | {hits:.2f} |")


def of_photo(model: Path, photo: Path, mask: Path | None, preset: str, size: tuple[int, int] | None) -> None:
    """A model and a photo that the user has, with the mask of the object, and what the full gradients cost there."""
    with tempfile.TemporaryDirectory() as folder:
        paths = {gradients: Path(folder) / f"{gradients}.onnx" for gradients in (True, False)}
        for gradients, path in paths.items():
            export(model, path, gradients=gradients, input=Input.preset(preset), input_size=size)
        full, bare = (Explainer(paths[gradients], threads=Threads(1)) for gradients in (True, False))
        if mask is not None:
            maps = {method: full.explain(photo, method=method).explanations[0].heatmap for method in METHODS}
            report(f"{model.name}, {photo.name}", [(maps, decode_mask(mask, max_pixels=10**8) != 0)])
        ratios = [cpu_seconds(full, photo, "hires-cam") / cpu_seconds(bare, photo, "grad-cam") for _ in range(PAIRS)]
        layer = full.manifest.layers[0]
        print(
            f"{model.name} at {layer.name} ({layer.channels} channels): HiResCAM with full gradients takes "
            f"{np.median(ratios):.3f} of the CPU time of Grad-CAM without, median of {PAIRS} pairs"
        )


def cpu_seconds(explainer: Explainer, photo: Path, method: str) -> float:
    """CPU time of this process for an explanation of the best class with its heatmap."""
    started = time.process_time()
    _ = explainer.explain(photo, method=method).explanations[0].input_heatmap
    return time.process_time() - started


def main() -> None:
    """Train, export, explain and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--photo", type=Path)
    parser.add_argument("--mask", type=Path)
    parser.add_argument("--preset", default="zero-one")
    parser.add_argument("--input-size", type=int, nargs=2, help="height and width, where the model leaves them open")
    asked = parser.parse_args()
    if asked.model is not None:
        of_photo(asked.model, asked.photo, asked.mask, asked.preset, asked.input_size)
        return
    torch.manual_seed(0)
    torch.set_num_threads(1)
    for title, network in (("Segmentation", Segmenter()), ("Detection", Detector())):
        made = trained(network, np.random.default_rng(1))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "cam.onnx"
            plain = Input(mean=(0.0,), std=(1.0,))
            export(made, path, example_input=torch.zeros(2, 3, SIDE, SIDE), gradients=True, input=plain)
            explainer = Explainer(path)
            print(f"\nlayer {explainer.layers[0]}, default method {explainer.manifest.default_method}")
            report(title, list(of_scenes(explainer, segments=title == "Segmentation", seed=2)))


if __name__ == "__main__":
    main()
