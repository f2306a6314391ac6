"""What decoding a JPEG at a fraction of its size changes: time, scores and heatmaps.

Each photo is explained twice, as it is and with ``scaled_decoding``, for the class that is best without; photos that
are no JPEG are made one first, of quality 90. Differences are of the scores, as the model gives them, and of the
heatmap, which lies in 0..1. Times are CPU time of decoding and preprocessing on one thread, in pairs.

    python benchmarks/scaled_decoding.py photo.jpg another.png
    python benchmarks/scaled_decoding.py --graph model.cam.onnx photo.jpg
"""

from __future__ import annotations

import io
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray
from paired import EXAMPLE_MODEL, ROOT, camgraph, environment, run_pairs
from PIL import Image

from camgraph_core.request import Request
from camgraph_runtime import Explainer, Result, Target, Threads

_PHOTOS = ROOT / "examples" / "photos"
_QUALITY = 90
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command(help=__doc__.partition("\n")[0])
@click.argument("photos", nargs=-1, type=_FILE)
@click.option("--graph", type=_FILE, help="Explainable graph; default: EfficientNet-Lite0.")
@click.option("--enlarge", type=click.IntRange(1), default=1, show_default=True, help="Factor for the photos' sides.")
@click.option("--pairs", type=click.IntRange(1), default=7, show_default=True)
def main(photos: Sequence[Path], graph: Path | None, enlarge: int, pairs: int) -> None:
    """Prints one line of a Markdown table for each photo."""
    click.echo(f"{environment(1)}; {pairs} pairs\n")
    click.echo("| photo | size | decoded | read ms | scaled ms | best class | score | change of scores | of the map |")
    click.echo("|---|---|---|---:|---:|---|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as folder:
        if graph is None:
            graph = Path(folder) / "example.cam.onnx"
            camgraph("export", str(EXAMPLE_MODEL), "--preset", "imagenet", "-o", str(graph))
        explainer = Explainer(graph, threads=Threads(1))
        for photo in photos or sorted(path for path in _PHOTOS.iterdir() if path.suffix in {".png", ".jpg"}):
            click.echo(_line(explainer, photo.name, _jpeg(photo, enlarge), pairs))


def _line(explainer: Explainer, name: str, data: bytes, pairs: int) -> str:
    whole = explainer.explain(data, num_predictions=explainer.num_classes)
    best = whole.predictions[0]
    targets = [Target.index(best.class_index)]
    part = explainer.explain(data, num_predictions=explainer.num_classes, targets=targets, scaled_decoding=True)
    scores = np.abs(_scores(part) - _scores(whole)).max()
    maps = np.abs(part.explanations[0].heatmap - whole.explanations[0].heatmap)
    scaled = explainer.prepare(data, Request(scaled_decoding=True))
    assert scaled.prepared is not None
    height, width = scaled.prepared.photo.shape[:2]
    read_ms, scaled_ms, _ = run_pairs(
        lambda: explainer.prepare(data),
        lambda: explainer.prepare(data, Request(scaled_decoding=True)),
        pairs,
        time.process_time,
    ).summary()
    size = " x ".join(map(str, whole.image_size))
    best_ones = (best, part.predictions[0])
    classes = ", then ".join(dict.fromkeys(item.label or str(item.class_index) for item in best_ones))
    return (
        f"| {name} | {size} | {width} x {height} | {read_ms:.1f} | {scaled_ms:.1f} | {classes} "
        f"| {best.score:.3f} | {scores:.4f} | {maps.max():.3f} (mean {maps.mean():.4f}) |"
    )


def _scores(result: Result) -> NDArray[np.float64]:
    """The score of each class, in the order of the classes."""
    return np.array([item.score for item in sorted(result.predictions, key=lambda item: item.class_index)])


def _jpeg(path: Path, enlarge: int) -> bytes:
    if enlarge == 1 and path.suffix.lower() in {".jpg", ".jpeg"}:
        return path.read_bytes()
    buffer = io.BytesIO()
    with Image.open(path) as photo:
        size = photo.width * enlarge, photo.height * enlarge
        photo.convert("RGB").resize(size, Image.Resampling.LANCZOS).save(buffer, "JPEG", quality=_QUALITY)
    return buffer.getvalue()


if __name__ == "__main__":
    main()
