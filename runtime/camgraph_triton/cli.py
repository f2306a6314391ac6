"""The command `camgraph triton-repository`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from camgraph_cli.options import options_of
from camgraph_triton.options import TritonOptions
from camgraph_triton.repository import write_repository
from camgraph_wire.open_inference.models import TENSORS


@click.command()
@click.argument("models", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="The model repository to write.")
@click.option("--replace", is_flag=True, help="Replace models of these names that camgraph has written.")
@options_of(options=TritonOptions)
def triton_repository(models: tuple[Path, ...], output: Path, replace: bool, options: TritonOptions) -> None:
    """Write a model repository for the Triton Inference Server from explainable graphs.

    MODELS are explainable graphs, or folders laid out as for camgraph serve. Each graph NAME becomes two models: NAME
    takes an image and gives explanations, NAME.tensors has the graph's own inputs and outputs. Clients of camgraph
    serve that speak the Open Inference Protocol call them unchanged.
    """
    with click.progressbar(length=1, file=sys.stderr, hidden=not sys.stderr.isatty(), show_eta=False) as bar:

        def report(what: str, done: int, total: int) -> None:
            bar.label, bar.length, bar.pos = what, total, done
            bar.render_progress()

        written = write_repository(models, output, options, replace=replace, progress=report)
    for model in written:
        versions = ", ".join(map(str, model.versions))
        click.echo(f"{output / model.name} and {output / (model.name + TENSORS)}: version {versions}")
        for note in model.notes:
            click.echo(f"Note: {model.name}: {note}", err=True)
    click.echo(f"Serve it with: tritonserver --model-repository {output.absolute()}")
