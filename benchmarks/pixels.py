"""What a request costs beside the model: a JPEG of 0.3 to 49 megapixels in, heatmap and overlay as JPEG out.

Each pair runs the plain model once on a ready tensor and the whole request once, one directly after the other, in one
process on one thread; times are CPU time. The stages are those of the request: decoding, the way to the input tensor,
the explainable graph, the overlay (laid, coloured and mixed) and its encoding as JPEG. Memory is what one request adds
to the largest resident size of a fresh process that has the model loaded and run. It is read from /proc, on Linux.

    python benchmarks/pixels.py --pairs 20
"""

from __future__ import annotations

import io
import multiprocessing
import re
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from paired import EXAMPLE_MODEL, ROOT, camgraph, environment, run_pairs
from PIL import Image

from camgraph_core.request import Request
from camgraph_runtime import Engine, Explainer, Threads

_PHOTO = ROOT / "examples" / "photos" / "coffee.png"
_SIZES = {0.3: (480, 640), 1.3: (1024, 1280), 12.8: (3200, 4000), 49: (7000, 7000)}
_MAX_SIDES = (None, 1024, 512)
_STAGES = ("decode", "tensor", "graph", "overlay", "encode")
_QUALITY = 90
_KIB = 1024
_MB = 1e6


class Stages:
    """CPU time of each stage in milliseconds, run by run."""

    def __init__(self) -> None:
        self.times: dict[str, list[float]] = {stage: [] for stage in _STAGES}

    @contextmanager
    def of(self, stage: str) -> Iterator[None]:
        """Counts what is done inside to a stage."""
        start = time.process_time()
        yield
        self.times[stage].append(1e3 * (time.process_time() - start))

    def medians(self) -> list[str]:
        """The median of each stage."""
        return [f"{statistics.median(times):.1f}" for times in self.times.values()]


@click.command(help=__doc__.partition("\n")[0])
@click.option("--pairs", type=click.IntRange(1), default=20, show_default=True, help="Pairs for each figure.")
def main(pairs: int) -> None:
    """Prints one line of a Markdown table for each size of the photo and of the overlay."""
    click.echo(f"{environment(1)}; {pairs} pairs\n")
    stages = " | ".join(f"{stage} ms" for stage in _STAGES)
    click.echo(f"| megapixels | longest side | model ms | {stages} | all ms | over the model (min-max) | peak MB |")
    click.echo(f"|---:|---:|---:|{'---:|' * len(_STAGES)}---:|---:|---:|")
    with tempfile.TemporaryDirectory() as folder:
        graph = Path(folder) / "example.cam.onnx"
        camgraph("export", str(EXAMPLE_MODEL), "--preset", "imagenet", "-o", str(graph))
        explainer = Explainer(graph, threads=Threads(1))
        model = _plain_model(explainer)
        for megapixels, size in _SIZES.items():
            data = _jpeg(size)
            for max_side in _MAX_SIDES:
                if max_side is not None and max_side >= max(size):
                    continue
                click.echo(_line(explainer, model, data, megapixels, max_side, pairs, graph))


def _line(
    explainer: Explainer,
    model: Callable[[], object],
    data: bytes,
    megapixels: float,
    max_side: int | None,
    pairs: int,
    graph: Path,
) -> str:
    stages = Stages()
    few = max(3, int(pairs / max(1.0, megapixels / 1.3)))
    model_ms, all_ms, ratio = run_pairs(
        model, lambda: _request(explainer, data, max_side, stages), few, time.process_time
    ).summary()
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        peak = pool.apply(_growth, (str(graph), data, max_side)) / _MB
    figures = " | ".join(stages.medians())
    return (
        f"| {megapixels} | {max_side or 'photo'} | {model_ms:.1f} | {figures} | {all_ms:.1f} | {ratio} | {peak:.0f} |"
    )


def _request(explainer: Explainer, data: bytes, max_side: int | None, stages: Stages) -> bytes:
    plan = explainer.plan(Request())
    with stages.of("decode"):
        picture = explainer._preprocessor.read(data)
    with stages.of("tensor"):
        network_input = explainer.prepare(picture.photo)
    with stages.of("graph"):
        [inference] = explainer.infer([network_input], [plan])
        result = explainer.finish(plan, network_input, inference)
    with stages.of("overlay"):
        overlay = result.explanations[0].overlay(max_side=max_side)
    with stages.of("encode"):
        return result.explanations[0].jpeg(overlay)


def _plain_model(explainer: Explainer) -> Callable[[], object]:
    """The trained model alone, on a ready tensor."""
    engine = Engine(EXAMPLE_MODEL, threads=Threads(1))
    [name] = engine.inputs
    tensor = explainer.prepare(_PHOTO).tensor
    return lambda: engine.run({name: tensor})


def _jpeg(size: tuple[int, int]) -> bytes:
    buffer = io.BytesIO()
    with Image.open(_PHOTO) as photo:
        photo.convert("RGB").resize(size[::-1], Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=_QUALITY)
    return buffer.getvalue()


def _growth(graph: str, data: bytes, max_side: int | None) -> int:
    explainer = Explainer(graph, threads=Threads(1))
    _request(explainer, _jpeg((300, 400)), None, Stages())  # what is loaded and kept once
    before = _resident("VmRSS")
    _request(explainer, data, max_side, Stages())
    return _resident("VmHWM") - before


def _resident(field: str) -> int:
    """A size of this process in bytes; ru_maxrss would be the parent's, which a child inherits."""
    return int(re.findall(rf"{field}:\s*(\d+) kB", Path("/proc/self/status").read_text(encoding="utf-8"))[0]) * _KIB


if __name__ == "__main__":
    main()
