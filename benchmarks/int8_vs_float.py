"""How the maps of a quantised (or half-precision) model agree with those of the float model it was made from.

Both are exported at the same layers and explain the best classes of the same photos, named by the float model:

correlation   of the maps before ReLU, cell by cell
pointing      in how many maps the largest cell is the same one (or next to it)
weights       relative L2 distance of the channel weights

A second table has the files' sizes and times. Without --reduced the float model is quantised on the spot by
onnxruntime (uint8 activations, int8 weights per channel), with crops of the photos for calibration.

    python benchmarks/int8_vs_float.py --reduced model_int8.onnx --reduced model_float16.onnx
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click
import numpy as np
from paired import EXAMPLE_MODEL, ROOT, camgraph, environment, named_layers, run_pairs
from PIL import Image

from camgraph_core.errors import CamgraphError
from camgraph_core.explanation import Explanation
from camgraph_core.target import Target
from camgraph_runtime.explainer import Explainer
from camgraph_runtime.run.engine import Engine, Threads
from camgraph_runtime.run.threads import available_cores

_PHOTOS = tuple(sorted((ROOT / "examples" / "photos").glob("*.[pj][np]g")))
_CROPS = 8


@dataclass
class Agreement:
    """What one pair of graphs showed, a value for each map."""

    correlations: list[float] = field(default_factory=list)
    distances: list[float] = field(default_factory=list)
    weight_errors: list[float] = field(default_factory=list)

    def add(self, ours: Explanation, reference: Explanation) -> None:
        """Compares two explanations of the same class of the same photo."""
        a, b = ours.raw_map.astype(np.float64), reference.raw_map.astype(np.float64)
        self.correlations.append(float(np.corrcoef(a.ravel(), b.ravel())[0, 1]))
        peaks = [np.array(np.unravel_index(np.argmax(x), x.shape)) for x in (a, b)]
        self.distances.append(float(np.abs(peaks[0] - peaks[1]).max()))
        difference = np.linalg.norm(ours.weights[0] - reference.weights[0])
        self.weight_errors.append(float(difference / np.linalg.norm(reference.weights[0])))

    def cells(self) -> str:
        """The cells of the table."""
        count, low, mean = len(self.correlations), min(self.correlations), np.mean(self.correlations)
        same, near = (sum(distance <= d for distance in self.distances) for d in (0, 1))
        return f"{low:.3f} | {mean:.3f} | {same} ({near}) of {count} | {np.mean(self.weight_errors):.3f}"


@click.command(help=__doc__.partition("\n")[0])
@click.option("--model", type=click.Path(exists=True, path_type=Path), default=EXAMPLE_MODEL, help="Float model.")
@click.option("--reduced", multiple=True, type=click.Path(exists=True, path_type=Path), help="Form to compare with it.")
@click.option("--layer", "layers", multiple=True, help="Layer of the float model; default: last, middle, early.")
@click.option("--photo", "photos", multiple=True, type=click.Path(exists=True, path_type=Path), default=_PHOTOS)
@click.option("--preset", default="efficientnet-lite", show_default=True, help="How photos were prepared.")
@click.option("--classes", type=click.IntRange(1), default=2, show_default=True, help="Best classes of each photo.")
@click.option("--pairs", type=click.IntRange(1), default=50, show_default=True, help="Timed pairs for each line.")
@click.option("--threads", type=click.IntRange(1), default=available_cores, help="Threads of each session.")
def main(
    model: Path,
    reduced: tuple[Path, ...],
    layers: tuple[str, ...],
    photos: tuple[Path, ...],
    preset: str,
    classes: int,
    pairs: int,
    threads: int,
) -> None:
    """Prints two Markdown tables."""
    click.echo(f"{environment(threads)}\nPhotos: {', '.join(photo.stem for photo in photos)}; {classes} classes each\n")
    try:
        with tempfile.TemporaryDirectory() as folder:
            _report(_Exports(model, preset, Path(folder), Threads(threads)), reduced, layers, photos, classes, pairs)
    except CamgraphError as error:
        raise click.ClickException(str(error)) from error


def _report(
    exports: _Exports,
    reduced: Sequence[Path],
    layers: tuple[str, ...],
    photos: Sequence[Path],
    classes: int,
    pairs: int,
) -> None:
    reduced = reduced or [exports.quantised(photos)]
    chosen = named_layers(exports.model, layers)
    click.echo("| model | layer | correlation min | mean | same (next) cell | weights |\n|---|---|---:|---:|---:|---:|")
    costs = []
    for layer in chosen:
        reference = exports.explainer(exports.model, layer.name)
        for form in reduced:
            explainer = exports.explainer(form, layer.name)
            agreement = _compare(explainer, reference, photos, classes)
            name = f"{layer.label} `{layer.name}`".strip()
            click.echo(f"| {form.stem} | {name} | {agreement.cells()} |")
        costs += [_cost(exports, form, layer.name, layer.label, pairs) for form in (exports.model, *reduced)]
    click.echo("\n| model | layer | file MB | explainable MB | forward ms | explain ms | ratio (min-max) |")
    click.echo("|---|---|---:|---:|---:|---:|---:|")
    click.echo("\n".join(costs))


@dataclass
class _Exports:
    """Explainable graphs of several forms of one model, made when they are first asked for."""

    model: Path
    preset: str
    folder: Path
    threads: Threads
    made: dict[tuple[Path, str], Path] = field(default_factory=dict)

    def graph(self, form: Path, layer: str) -> Path:
        """The explainable graph of a form at a layer."""
        key = (form, layer)
        if key not in self.made:
            path = self.folder / f"{len(self.made)}.onnx"
            camgraph("export", str(form), "-o", str(path), "--layer", layer, "--preset", self.preset)
            self.made[key] = path
        return self.made[key]

    def explainer(self, form: Path, layer: str) -> Explainer:
        """An explainer of a form at a layer."""
        return Explainer(self.graph(form, layer), threads=self.threads)

    def quantised(self, photos: Sequence[Path]) -> Path:
        """The float model, quantised by onnxruntime with ranges from crops of the photos."""
        # Imported here: they bring onnx, which runs with --reduced do not need.
        from onnxruntime.quantization import (  # noqa: PLC0415 - slow to import
            CalibrationDataReader,
            QuantFormat,
            QuantType,
            quantize_static,
        )

        explainer = self.explainer(self.model, "auto")
        name = next(iter(Engine(self.model).inputs))
        batches = ({name: explainer.prepare(crop).tensor} for photo in photos for crop in _crops(photo))

        class Reader(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime has no types
            def get_next(self) -> dict[str, np.ndarray] | None:
                return next(batches, None)

        target = self.folder / f"{self.model.stem}_int8.onnx"
        logging.disable(logging.WARNING)
        quantize_static(
            self.model,
            target,
            Reader(),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
        )
        logging.disable(logging.NOTSET)
        return target


def _crops(photo: Path) -> Iterator[Image.Image]:
    """The whole photo, and parts of it."""
    picture = Image.open(photo).convert("RGB")
    yield picture
    rng = np.random.default_rng(0)
    for _ in range(_CROPS):
        share = rng.uniform(0.4, 0.9)
        width, height = (int(share * size) for size in picture.size)
        left, top = (
            int(rng.integers(0, size - part + 1)) for size, part in zip(picture.size, (width, height), strict=True)
        )
        yield picture.crop((left, top, left + width, top + height))


def _compare(ours: Explainer, reference: Explainer, photos: Sequence[Path], classes: int) -> Agreement:
    agreement = Agreement()
    for photo in photos:
        expected = reference.explain(photo, top_k=classes).explanations
        targets = [Target.index(item.target.class_index) for item in expected]
        for mine, theirs in zip(ours.explain(photo, targets=targets).explanations, expected, strict=True):
            agreement.add(mine, theirs)
    return agreement


def _cost(exports: _Exports, form: Path, layer: str, label: str, pairs: int) -> str:
    """A line of the second table."""
    graph = exports.graph(form, layer)
    forward, explain = (Engine(path, threads=exports.threads) for path in (form, graph))
    name = next(iter(forward.inputs))
    shape = [axis if isinstance(axis, int) else 1 for axis in forward.inputs[name].shape]
    image = np.random.default_rng(0).standard_normal(shape).astype(forward.inputs[name].dtype)
    feeds = {name: image, "target": np.full((1, 1), -1)}
    timed = run_pairs(lambda: forward.run({name: image}), lambda: explain.run(feeds), pairs)
    before, after, ratio = timed.summary()
    sizes = " | ".join(f"{path.stat().st_size / 1e6:.2f}" for path in (form, graph))
    return f"| {form.stem} | {label or layer} | {sizes} | {before:.2f} | {after:.2f} | {ratio} |"


if __name__ == "__main__":
    main()
