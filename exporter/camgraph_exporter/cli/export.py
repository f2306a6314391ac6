"""The command `camgraph export`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from camgraph_cli.options import options_of
from camgraph_exporter import api
from camgraph_exporter.cli.console import progress_bar
from camgraph_exporter.cli.source import source_arguments, source_of
from camgraph_exporter.cli.tables import summarise
from camgraph_exporter.edge import write_edge_files
from camgraph_exporter.options import ExportOptions
from camgraph_exporter.storage import written_bytes

_FILE = click.Path(path_type=Path)


@click.command()
@source_arguments
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
    source = source_of(model, factory)
    with progress_bar("Checking") as progress:
        exported = api.export(source, output, **vars(replace(options, progress=progress)))
    summarise(output, written_bytes(output, exported.weights_folder), exported.manifest)
    if edge:
        files = write_edge_files(output)
        click.echo(f"For small machines: {files.graph} and {files.operators}")
