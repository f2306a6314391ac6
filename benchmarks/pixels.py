"""What a request costs beside the model: a JPEG of 0.3 to 49 megapixels in, heatmap and overlay as JPEG out.

Each pair runs the plain model once on a ready tensor and the whole request once, one directly after the other, in one
process on one thread; times are CPU time. The stages are those of the request: decoding, the way to the input tensor,
the explainable graph, the overlay (laid, coloured and mixed) and its encoding as JPEG. Memory is what one request adds
to the largest resident size of a fresh process that has the model loaded and run. It is read from /proc, on Linux.

With ``--before`` the same requests go to another version in turn, each version in a process of its own, and the last
column is this version's CPU time over that of the other. It is a git revision, a checkout, or a virtual environment.

    python benchmarks/pixels.py --pairs 20
    python benchmarks/pixels.py --before v1.0.0
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
from functools import partial
from pathlib import Path
from typing import Any

import click
from paired import EXAMPLE_MODEL, ROOT, camgraph, environment, run_pairs
from PIL import Image
from versions import request_pairs, versions

from camgraph_core.request import Request
from camgraph_core.style import Style
from camgraph_runtime import Engine, Explainer, Threads
from camgraph_runtime.network_input import NetworkInput
from camgraph_runtime.preprocess.scaling import smallest_photo

_PHOTO = ROOT / "examples" / "photos" / "coffee.png"
_SIZES = {0.3: (480, 640), 1.3: (1024, 1280), 12.8: (3200, 4000), 49: (7000, 7000)}
_MAX_SIDES = (None, 1024, 512)
_STAGES = ("decode", "tensor", "graph", "overlay", "encode")
_QUALITY = 90
_KIB = 1024
_MB = 1e6

Options = dict[str, Any]
"""More of a request."""


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
@click.option("--before", metavar="REVISION|FOLDER", help="Another version, to measure this one against.")
@click.option("--scaled-decoding", is_flag=True, help="Decode at a fraction, where the request allows.")
def main(pairs: int, before: str | None, scaled_decoding: bool) -> None:
    """Prints one line of a Markdown table for each size of the photo and of the overlay."""
    click.echo(f"{environment(1)}; {pairs} pairs\n")
    options = {"scaled_decoding": True} if scaled_decoding else {}
    with tempfile.TemporaryDirectory() as folder:
        graph = Path(folder) / "example.cam.onnx"
        camgraph("export", str(EXAMPLE_MODEL), "--preset", "imagenet", "-o", str(graph))
        if before is None:
            _print_stages(graph, pairs, options)
        else:
            _print_versions(graph, pairs, options, before)


def _print_stages(graph: Path, pairs: int, options: Options) -> None:
    stages = " | ".join(f"{stage} ms" for stage in _STAGES)
    click.echo(f"| megapixels | longest side | model ms | {stages} | all ms | over the model (min-max) | peak MB |")
    click.echo(f"|---:|---:|---:|{'---:|' * len(_STAGES)}---:|---:|---:|")
    explainer = Explainer(graph, threads=Threads(1))
    model = _plain_model(explainer)
    for megapixels, data, max_side, few in _cases(pairs):
        request = _asked(max_side, options)
        figures = _stages_of(explainer, model, data, request, few)
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            peak = pool.apply(_growth, (str(graph), data, request)) / _MB
        click.echo(f"| {megapixels} | {max_side or 'photo'} | {figures} | {peak:.0f} |")


def _print_versions(graph: Path, pairs: int, options: Options, before: str) -> None:
    click.echo(f"| megapixels | longest side | {before} ms | this ms | ratio (min-max) |")
    click.echo("|---:|---:|---:|---:|---:|")
    with versions(before, graph) as (other, this):
        for megapixels, data, max_side, few in _cases(pairs):
            photo = graph.with_name("photo.jpg")
            photo.write_bytes(data)
            asked = {**options, "max_side": max_side, "outputs": ["overlay-jpeg"]}
            other_ms, this_ms, ratio = request_pairs(other, this, photo, asked, few).summary()
            click.echo(f"| {megapixels} | {max_side or 'photo'} | {other_ms:.1f} | {this_ms:.1f} | {ratio} |")


def _cases(pairs: int) -> Iterator[tuple[float, bytes, int | None, int]]:
    """Megapixels, photo, longest side of the overlay, and number of pairs, which is smaller for large photos."""
    for megapixels, size in _SIZES.items():
        data, few = _jpeg(size), max(3, int(pairs / max(1.0, megapixels / 1.3)))
        yield from ((megapixels, data, side, few) for side in _MAX_SIDES if side is None or side < max(size))


def _asked(max_side: int | None, options: Options) -> Request:
    return Request(style=Style(max_side=max_side), outputs=["overlay-jpeg"], **options)


def _stages_of(explainer: Explainer, model: Callable[[], object], data: bytes, request: Request, pairs: int) -> str:
    stages = Stages()
    model_ms, all_ms, ratio = run_pairs(
        model, lambda: _answer(explainer, data, request, stages), pairs, time.process_time
    ).summary()
    return f"{model_ms:.1f} | {' | '.join(stages.medians())} | {all_ms:.1f} | {ratio}"


def _answer(explainer: Explainer, data: bytes, request: Request, stages: Stages) -> bytes:
    plan = explainer.plan(request)
    smallest = partial(smallest_photo, request) if request.scaled_decoding else None
    with stages.of("decode"):
        picture = explainer._preprocessor.read(data, None, smallest)
    with stages.of("tensor"):
        prepared = explainer._preprocessor.prepare(picture)
        network_input = NetworkInput(prepared.tensor, prepared.frame, prepared)
    with stages.of("graph"):
        [inference] = explainer.infer([network_input], [plan])
        result = explainer.finish(plan, network_input, inference)
    with stages.of("overlay"):
        overlay = result.explanations[0].overlay()
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


def _growth(graph: str, data: bytes, request: Request) -> int:
    explainer = Explainer(graph, threads=Threads(1))
    _answer(explainer, _jpeg((300, 400)), Request(), Stages())  # what is loaded and kept once
    before = _resident("VmRSS")
    _answer(explainer, data, request, Stages())
    return _resident("VmHWM") - before


def _resident(field: str) -> int:
    """A size of this process in bytes; ru_maxrss would be the parent's, which a child inherits."""
    return int(re.findall(rf"{field}:\s*(\d+) kB", Path("/proc/self/status").read_text(encoding="utf-8"))[0]) * _KIB


if __name__ == "__main__":
    main()
