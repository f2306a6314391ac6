"""How well a memory bank and the difference from good parts find scratches whose place is known.

Parts are drawn as `examples/parts.py` draws them, with another seed. Beside the two maps stand two that know nothing of
the network: a blob in the middle of the image, and random cells.

    python benchmarks/anomalies.py
    python benchmarks/anomalies.py --parts 200
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from camgraph_core.frame import Frame
from camgraph_core.rectangle import Rectangle
from camgraph_core.regions import hot_regions
from camgraph_core.types import ByteArray, FloatArray
from camgraph_exporter import Input, export
from camgraph_runtime import Explainer, Target
from camgraph_runtime.bank.memory_bank import MemoryBank
from camgraph_runtime.bank_builder import build_bank
from camgraph_runtime.run.threads import Threads

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "examples"))
from parts import GOOD, SIDE, plate, scratched  # noqa: E402 - the examples are no package

LAYERS = ("/_blocks.10/Add_output_0", "/_blocks.4/Add_output_0")
NEAR = 8  # pixels: a cell of the finer layer
WAYS = {
    "difference, HiResCAM, 14 x 14 cells": (LAYERS[0], "hires-cam"),
    "difference, Grad-CAM, 14 x 14 cells": (LAYERS[0], "grad-cam"),
    "difference, Grad-CAM, the last 7 x 7": ("/_swish_1/Clip_output_0", "grad-cam"),
}


@dataclass(frozen=True)
class Found:
    """A map of a scratched part beside the mask of its scratch, bool [H, W]."""

    heat: FloatArray
    mask: np.ndarray

    @property
    def points(self) -> bool:
        """Whether the hottest pixel lies within a cell of the scratch."""
        row, column = np.unravel_index(self.heat.argmax(), self.heat.shape)
        rows, columns = np.nonzero(self.mask)
        return bool(np.hypot(rows - row, columns - column).min() <= NEAR)

    @property
    def overlap(self) -> float:
        """Intersection over union of two boxes: of the hot region with the most heat, and of the scratch."""
        regions = hot_regions(self.heat, Frame.identity(SIDE, SIDE), 0.5)
        if not regions:
            return 0.0
        one, two = regions[0].box, _box(self.mask)
        width = min(one.right, two.right) - max(one.left, two.left)
        height = min(one.bottom, two.bottom) - max(one.top, two.top)
        common = max(width, 0.0) * max(height, 0.0)
        return common / (one.area + two.area - common)


def _box(mask: np.ndarray) -> Rectangle:
    rows, columns = np.nonzero(mask)
    return Rectangle(columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)


def separation(good: Sequence[float], bad: Sequence[float]) -> float:
    """The share of pairs in which the bad part has the larger score: the area under the ROC curve."""
    return float(np.mean([one < two for one in good for two in bad]))


def made(folder: Path) -> Explainer:
    """EfficientNet-Lite0 as a graph for embeddings."""
    graph = folder / "parts.onnx"
    export(
        ROOT / "examples/models/efficientnet_lite0.onnx",
        graph,
        layers=[*LAYERS, "auto"],
        gradients=True,
        score="/Reshape_output_0",
        task="embedding",
        input=replace(Input.preset("efficientnet-lite"), resize="stretch"),
    )
    return Explainer(graph, threads=Threads(1))


def measure(explainer: Explainer, bank: MemoryBank, mean: Target, parts: int, rng: np.random.Generator) -> None:
    """Prints the table."""
    away: dict[bool, list[float]] = {False: [], True: []}
    unlike: dict[bool, list[float]] = {False: [], True: []}
    found: dict[str, list[Found]] = {}
    down, across = np.mgrid[:SIDE, :SIDE]
    for number in range(2 * parts):
        picture, mask, is_bad = plate(rng), None, number % 2 == 1
        if is_bad:
            picture, mask = scratched(picture, rng)
        pixels = np.asarray(picture.convert("RGB"))
        [fine] = explainer.explain(pixels, targets=[mean], layers=LAYERS).explanations
        beside = bank.beside(fine, explainer.manifest)
        away[is_bad].append(beside.target.score)
        unlike[is_bad].append(-fine.target.score)
        if mask is None:
            continue
        blob = np.exp(-((down - SIDE / 2) ** 2 + (across - SIDE / 2) ** 2) / (2 * 40**2)).astype(np.float32)
        cells = rng.random((28, 28)).astype(np.float32).repeat(8, axis=0).repeat(8, axis=1)
        maps = {
            "distance to the bank": beside.heatmap,
            **{name: _heatmap(explainer, pixels, mean, *way) for name, way in WAYS.items()},
            "a blob in the middle": blob,
            "random cells": cells,
        }
        for name, heat in maps.items():
            found.setdefault(name, []).append(Found(heat, np.asarray(mask) > 0))
    print(f"{parts} good and {parts} scratched parts; a bank of {len(bank.patches)} patches of {GOOD} good ones\n")
    alarms, missed = (np.mean([score > 1 for score in away[kind]]) for kind in (False, True))
    print(f"scores of the bank: {separation(away[False], away[True]):.3f} of pairs in order; above 1 are")
    print(f"  {alarms:.1%} of the good parts and {missed:.1%} of the scratched ones")
    print(f"similarities: {separation(unlike[False], unlike[True]):.3f} of pairs in order\n")
    print("| map | points at the scratch | IoU of boxes |\n| -- | --: | --: |")
    for name, items in found.items():
        points, overlap = (np.mean([getattr(item, what) for item in items]) for what in ("points", "overlap"))
        print(f"| {name} | {points:.2f} | {overlap:.2f} |")


def _heatmap(explainer: Explainer, pixels: ByteArray, target: Target, layer: str, method: str) -> FloatArray:
    [explanation] = explainer.explain(pixels, targets=[target], layers=[layer], method=method).explanations
    return explanation.heatmap


def main() -> None:
    """Builds the bank, then measures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--parts", type=int, default=50, help="good parts, and as many scratched ones")
    options = parser.parse_args()
    rng = np.random.default_rng(1)
    with tempfile.TemporaryDirectory() as folder, made(Path(folder)) as explainer:
        good = [np.asarray(plate(rng).convert("RGB")) for _ in range(GOOD)]
        bank = build_bank(explainer, good, layers=LAYERS)
        rows = [explainer.explain(picture).embedding for picture in good]
        mean = Target.similar_to(np.stack([row for row in rows if row is not None]), negative=True)
        measure(explainer, bank, mean, options.parts, rng)


if __name__ == "__main__":
    main()
