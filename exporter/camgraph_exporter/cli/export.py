"""The command `camgraph export`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from camgraph_cli.options import options_of
from camgraph_core.errors import UsageError
from camgraph_exporter import api
from camgraph_exporter.cli.console import progress_bar
from camgraph_exporter.cli.tables import summarise
from camgraph_exporter.edge import write_edge_files
from camgraph_exporter.frontends.factory import check_factory
from camgraph_exporter.options import ExportOptions
from camgraph_exporter.storage import written_bytes

_FILE = click.Path(path_type=Path)


@click.command()
@click.argument("model", type=_FILE, required=False)
@click.option("--torch", "factory", metavar="PACKAGE.MODULE:FACTORY", help="Function that builds a PyTorch module.")
@click.option("-o", "--output", type=_FILE, required=True, help="Where to write the explainable graph.")
@click.option(
    "--edge",
    is_flag=True,
    help="Also write the graph in onnxruntime's own format, and the operators that a reduced build of it needs.",
)
@options_of(options=ExportOptions)
def export(model: Path | None, factory: str | None, output: Path, edge: bool, options: ExportOptions) -> None:
    """Rewrite MODEL into a graph that also computes Grad-CAM's activations and weights, and prove it.

    MODEL is an .onnx file, a TorchScript or .pt2 file, or package.module:factory for a PyTorch module, which --torch
    names as well.
    """
    source = _source(model, factory)
    with progress_bar("Checking") as progress:
        exported = api.export(source, output, **vars(replace(options, progress=progress)))
    summarise(output, written_bytes(output, exported.weights_folder), exported.manifest)
    if edge:
        files = write_edge_files(output)
        click.echo(f"For small machines: {files.graph} and {files.operators}")


def _source(model: Path | None, factory: str | None) -> Path | str:
    if model is not None and factory is not None:
        raise UsageError("Give either MODEL or --torch, not both.")
    if factory is not None:
        check_factory(factory)
        return factory
    if model is None:
        raise UsageError("Give MODEL, the path of an .onnx file, or --torch package.module:factory.")
    return model
