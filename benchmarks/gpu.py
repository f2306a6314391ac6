"""An explainable graph on CUDA beside the CPU: do they agree, and how long does each take?

    python benchmarks/gpu.py demo-output/models/efficientnet_lite0.onnx

The agreement is the relative L2 difference of every float output between the two devices, on the same random image
for the best class. Both devices compute in float32 (TF32 is off unless the engine is told otherwise), so differences
come from the order of additions, and in deep layers from single ReLU gates that flip on them.

How the explainable graph compares with the plain model on the GPU is measured by
`export_vs_forward.py --device cuda`. With `--device cpu` this program compares the CPU with itself, to try it out.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np
from paired import environment, random_image, ranks, run_pairs

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.errors import CamgraphError
from camgraph_runtime.manifest import manifest_from_metadata
from camgraph_runtime.run.engine import Engine
from camgraph_runtime.run.providers import Device


@click.command(help=__doc__.partition("\n")[0])
@click.argument("graph", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--batch", "batches", multiple=True, type=click.IntRange(1), default=(1, 8, 32), show_default=True)
@click.option("--targets", type=click.IntRange(1), default=1, show_default=True)
@click.option("--pairs", type=click.IntRange(1), default=50, show_default=True, help="Pairs of runs for each line.")
@click.option("--device", type=click.Choice(["cuda", "cpu"]), default="cuda", show_default=True)
def main(graph: Path, batches: tuple[int, ...], targets: int, pairs: int, device: Device) -> None:
    """Prints the agreement and one line of a Markdown table for each batch size."""
    try:
        cpu, other = Engine(graph), Engine(graph, device=device)
        manifest = manifest_from_metadata(cpu.metadata, graph.name)
        _compare(cpu, other, manifest, targets)
        _measure(cpu, other, manifest, batches, targets, pairs)
    except CamgraphError as error:
        raise click.ClickException(str(error)) from error


def _compare(cpu: Engine, other: Engine, manifest: pb.Manifest, targets: int) -> None:
    feeds = {**random_image(cpu, manifest.input, 1), **ranks(manifest, 1, targets)}
    here, there = cpu.run(feeds), other.run(feeds)
    click.echo(f"{environment(cpu.threads.intra_op)}, {other.execution_provider} against {cpu.execution_provider}\n")
    click.echo("| output | relative L2 difference |\n|---|---:|")
    for name, value in here.items():
        if value.dtype.kind == "f":
            difference = np.linalg.norm(there[name] - value) / (np.linalg.norm(value) or 1.0)
            click.echo(f"| `{name}` | {difference:.1e} |")


def _measure(
    cpu: Engine, other: Engine, manifest: pb.Manifest, batches: Sequence[int], targets: int, pairs: int
) -> None:
    click.echo(f"\n| batch | targets | CPU ms | {other.execution_provider} ms | ratio (min-max) |")
    click.echo("|---:|---:|---:|---:|---:|")
    for batch in batches:
        feeds = {**random_image(cpu, manifest.input, batch), **ranks(manifest, batch, targets)}
        timed = run_pairs(lambda x=feeds: cpu.run(x), lambda x=feeds: other.run(x), pairs)  # type: ignore[misc]  # defaults bind
        slow, fast, ratio = timed.summary()
        click.echo(f"| {batch} | {targets} | {slow:.2f} | {fast:.2f} | {ratio} |")


if __name__ == "__main__":
    main()
