"""What an explanation costs: the explainable graph against the trained model, in pairs.

Each pair runs the source and the explainable graph once, one directly after the other, in the same process, on the
same image and with the same threads; the figure is the median of the ratios within the pairs. All outputs of both
graphs are fetched. Threads sleep instead of spinning between runs, because two sessions share the cores here.

The floor is what the arithmetic alone would cost. The backward pass from the score to the layer multiplies with the
same weights as the forward pass after the layer did, so it takes as many multiply-accumulates, once for each target:

    floor = 1 + targets x MACs after the layer / MACs of the whole model

A pooled linear head counts as nothing: its gradient is a row of its weights. A ratio below the floor is possible where
the gradient of a layer is cheaper to compute than the layer; far above it, time goes into something else than
arithmetic, for example memory traffic of large maps.

    python benchmarks/export_vs_forward.py --batch 1 --batch 8
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import click
from paired import EXAMPLE_MODEL, Layer, camgraph, environment, named_layers, place, random_image, ranks, run_pairs

from camgraph_core.errors import CamgraphError
from camgraph_runtime.manifest import manifest_from_metadata
from camgraph_runtime.run.engine import Engine, Threads
from camgraph_runtime.run.providers import Device
from camgraph_runtime.run.threads import available_cores

_HEADER = "| model | layer | K x h x w | batch | targets | forward ms | explain ms | ratio (min-max) | floor |"
_RULE = "|---|---|---|---:|---:|---:|---:|---:|---:|"


@click.command(help=__doc__.partition("\n")[0])
@click.option("--model", "models", multiple=True, type=click.Path(exists=True, path_type=Path), help="Trained model.")
@click.option("--layer", "layers", multiple=True, help="Layer to explain; default: the last, a middle, an early one.")
@click.option("--batch", "batches", multiple=True, type=click.IntRange(1), default=(1, 8), show_default=True)
@click.option("--targets", "targets", multiple=True, type=click.IntRange(1), default=(1,), show_default=True)
@click.option("--pairs", type=click.IntRange(1), default=100, show_default=True, help="Pairs for each line.")
@click.option("--threads", type=click.IntRange(1), default=available_cores, help="Threads of each session.")
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True)
def main(
    models: tuple[Path, ...],
    layers: tuple[str, ...],
    batches: tuple[int, ...],
    targets: tuple[int, ...],
    pairs: int,
    threads: int,
    device: Device,
) -> None:
    """Prints one line of a Markdown table for each combination."""
    click.echo(f"{environment(threads)}, {place(device)}, {pairs} pairs\n\n{_HEADER}\n{_RULE}")
    for model in models or (EXAMPLE_MODEL,):
        try:
            for layer in named_layers(model, layers):
                _measure(model, layer, [(n, t) for n in batches for t in targets], pairs, threads, device)
        except CamgraphError as error:
            raise click.ClickException(str(error)) from error


def _measure(
    model: Path,
    layer: Layer,
    loads: list[tuple[int, int]],
    pairs: int,
    threads: int,
    device: Device,
) -> None:
    """Exports `model` at one layer, with its certificate, and prints a line for each (batch, targets)."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "explainable.onnx"
        camgraph("export", str(model), "--output", str(path), "--layer", layer.name)
        source, graph = (Engine(file, device=device, threads=Threads(threads)) for file in (model, path))
    manifest = manifest_from_metadata(graph.metadata, path.name)
    found = manifest.layers[0]
    cells = f"{found.channels} x {found.height} x {found.width}"
    for batch, targets in loads:
        image = random_image(graph, manifest.input, batch)
        feeds = {**image, **ranks(manifest, batch, targets)}
        timed = run_pairs(lambda x=image: source.run(x), lambda x=feeds: graph.run(x), pairs)  # type: ignore[misc]  # defaults bind
        forward, explain, ratio = timed.summary()
        floor = 1 + targets * layer.extra_cost
        click.echo(
            f"| {model.stem} | {layer.label} `{layer.name}` | {cells} | {batch} | {targets} "
            f"| {forward:.2f} | {explain:.2f} | {ratio} | {floor:.2f} |"
        )


if __name__ == "__main__":
    main()
