"""The command `camgraph inspect`."""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import click

from camgraph_cli.options import options_of
from camgraph_exporter import api
from camgraph_exporter.cli.console import print_notes, progress_bar, table_console
from camgraph_exporter.cli.source import source_arguments, source_of
from camgraph_exporter.cli.tables import candidate_table, describe_image, describe_score, inspection_json
from camgraph_exporter.options import InspectOptions


@click.command()
@source_arguments
@options_of(options=InspectOptions)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def inspect(model: Path | None, factory: str | None, options: InspectOptions, as_json: bool) -> None:
    """List the layers of MODEL that can be explained, its head, and how a photo becomes its input.

    MODEL is an .onnx file, a TorchScript or .pt2 file, or package.module:factory for a PyTorch module, which --torch
    names as well.
    """
    source = source_of(model, factory)
    with progress_bar("Measuring") if options.measure else nullcontext() as progress:
        inspection = api.inspect(source, **vars(replace(options, progress=progress)))
    if as_json:
        click.echo(json.dumps(inspection_json(inspection), indent=2))
        return
    console = table_console()
    console.print(candidate_table(f"Layers of {Path(source).name} that can be explained", inspection))
    console.print(describe_score(inspection), highlight=False)
    console.print(describe_image(inspection), highlight=False)
    print_notes(inspection.notes)
