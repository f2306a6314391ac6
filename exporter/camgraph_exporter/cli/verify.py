"""The command `camgraph verify`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click
from google.protobuf import json_format

from camgraph_cli.options import options_of
from camgraph_exporter import api
from camgraph_exporter.cli.console import print_notes, progress_bar, table_console
from camgraph_exporter.cli.tables import check_table
from camgraph_exporter.errors import CertificateError
from camgraph_exporter.options import VerifyOptions


@click.command()
@click.argument("graph", type=click.Path(path_type=Path))
@options_of(options=VerifyOptions)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def verify(graph: Path, options: VerifyOptions, as_json: bool) -> None:
    """Run the certificate's checks on GRAPH again, here. Exit code 1 if one fails."""
    with progress_bar("Checking") as progress:
        verification = api.verify(graph, **vars(replace(options, progress=progress)))
    certificate = verification.certificate
    if as_json:
        click.echo(json_format.MessageToJson(certificate, preserving_proto_field_name=True))
    else:
        table_console().print(check_table(certificate))
    print_notes(verification.notes)
    if not verification.passed:
        raise CertificateError(f"{graph} did not pass: {', '.join(verification.failed)}.")
