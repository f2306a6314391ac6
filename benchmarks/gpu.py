"""An explainable graph on CUDA beside the CPU: do they agree, and how long does each take?

    python benchmarks/gpu.py demo-output/models/efficientnet_lite0.onnx

The agreement is the relative L2 difference of every float output between the two devices, on the same random image
for the best class. Both devices compute in float32 (TF32 is off unless the engine is told otherwise), so differences
come from the order of additions, and in deep layers from single ReLU gates that flip on them.

The last tables are of the GPU alone. First what it costs that the size of the batch changes between two runs: with one
session, in which onnxruntime then has cuDNN plan each convolution anew, and with one per size. Then the images per
second with several runs at the same time.

How the explainable graph compares with the plain model on the GPU is measured by
`export_vs_forward.py --device cuda`. With `--device cpu` this program compares the CPU with itself, to try it out; with
options of the provider, such as `--device cuda:use_tf32=1`, it shows what they change.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from paired import environment, place, random_image, ranks, run_pairs

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.errors import CamgraphError
from camgraph_runtime.manifest import manifest_from_metadata
from camgraph_runtime.run.engine import Engine
from camgraph_runtime.run.providers import Device

_RUNS_AT_ONCE = (1, 2, 4, 8)
_REPEATED = 4


@click.command(help=__doc__.partition("\n")[0])
@click.argument("graph", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--batch", "batches", multiple=True, type=click.IntRange(1), default=(1, 8, 32), show_default=True)
@click.option("--targets", type=click.IntRange(1), default=1, show_default=True)
@click.option("--pairs", type=click.IntRange(1), default=50, show_default=True, help="Pairs of runs for each line.")
@click.option("--device", default="cuda", show_default=True, help="CUDA, also with options: cuda:use_tf32=1.")
def main(graph: Path, batches: tuple[int, ...], targets: int, pairs: int, device: Device) -> None:
    """Prints the agreement and one line of a Markdown table for each batch size."""
    try:
        cpu, other = Engine(graph), Engine(graph, device=device, shapes=len(batches))
        manifest = manifest_from_metadata(cpu.metadata, graph.name)
        _compare(cpu, other, manifest, targets, device)
        _measure(_Side("CPU", cpu), _Side(other.execution_provider, other), manifest, batches, targets, pairs)
        _change_sizes(Engine(graph, device=device), other, manifest, batches, pairs)
        _run_together(other, manifest, batches, pairs)
    except CamgraphError as error:
        raise click.ClickException(str(error)) from error


def _compare(cpu: Engine, other: Engine, manifest: pb.Manifest, targets: int, device: Device) -> None:
    feeds = {**random_image(cpu, manifest.input, 1), **ranks(manifest, 1, targets)}
    here, there = cpu.run(feeds), other.run(feeds)
    click.echo(f"{environment(cpu.threads.intra_op)}, {other.execution_provider} on {place(device)} against the CPU")
    click.echo("\n".join([*other.notes, ""]))
    click.echo("| output | relative L2 difference |\n|---|---:|")
    for name, value in here.items():
        if value.dtype.kind == "f":
            difference = np.linalg.norm(there[name] - value) / (np.linalg.norm(value) or 1.0)
            click.echo(f"| `{name}` | {difference:.1e} |")


@dataclass(frozen=True)
class _Side:
    """What is measured, and its name in the table."""

    name: str
    engine: Engine


def _measure(a: _Side, b: _Side, manifest: pb.Manifest, batches: Sequence[int], targets: int, pairs: int) -> None:
    click.echo(f"\n| batch | targets | {a.name} ms | {b.name} ms | ratio (min-max) |")
    click.echo("|---:|---:|---:|---:|---:|")
    for batch in batches:
        feeds = {**random_image(a.engine, manifest.input, batch), **ranks(manifest, batch, targets)}
        timed = run_pairs(lambda x=feeds: a.engine.run(x), lambda x=feeds: b.engine.run(x), pairs)  # type: ignore[misc]  # defaults bind
        slow, fast, ratio = timed.summary()
        click.echo(f"| {batch} | {targets} | {slow:.2f} | {fast:.2f} | {ratio} |")


def _change_sizes(one: Engine, several: Engine, manifest: pb.Manifest, batches: Sequence[int], pairs: int) -> None:
    click.echo("\n| batches in turn | one session ms | a session each ms | ratio (min-max) |\n|---|---:|---:|---:|")
    feeds = [{**random_image(one, manifest.input, batch), **ranks(manifest, batch, 1)} for batch in batches]
    timed = run_pairs(
        lambda: [one.run(each) for each in feeds], lambda: [several.run(each) for each in feeds], max(pairs // 5, 1)
    )
    slow, fast, ratio = timed.summary()
    click.echo(f"| {', '.join(map(str, batches))} | {slow:.1f} | {fast:.1f} | {ratio} |")


def _run_together(engine: Engine, manifest: pb.Manifest, batches: Sequence[int], pairs: int) -> None:
    click.echo("\n| batch | runs at once | images/s (min-max) |\n|---:|---:|---:|")
    for batch in batches:
        feeds = {**random_image(engine, manifest.input, batch), **ranks(manifest, batch, 1)}
        for threads in _RUNS_AT_ONCE:
            rates = []
            with ThreadPoolExecutor(threads) as pool:
                for _ in range(_REPEATED):
                    began = time.perf_counter()
                    list(pool.map(engine.run, [feeds] * pairs))
                    rates.append(batch * pairs / (time.perf_counter() - began))
            click.echo(f"| {batch} | {threads} | {statistics.median(rates):.0f} ({min(rates):.0f}-{max(rates):.0f}) |")


if __name__ == "__main__":
    main()
