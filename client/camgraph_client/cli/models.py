"""The command `camgraph models`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from camgraph_cli.options import options_of
from camgraph_client.cli.connection import RequiredServerOptions

if TYPE_CHECKING:
    from camgraph_core.models import ModelInfo


@click.command()
@options_of(where=RequiredServerOptions)
def models(where: RequiredServerOptions) -> None:
    """List the models of a server."""
    with where.open() as client:
        found = client.list_models()
    console = Console()
    console.print(_table(found))
    for model in found:
        if model.reason:
            text = f"  {model.name} (version {model.version}): {model.reason}"
            console.print(text, markup=False, highlight=False, soft_wrap=True)


def _table(found: Iterable[ModelInfo]) -> Table:
    table = Table()
    for heading in ("name", "version", "state", "classes", "layers", "runs on"):
        table.add_column(heading, overflow="fold")
    for model in found:
        table.add_row(
            escape(model.name),
            escape(model.version),
            model.state,
            str(model.num_classes or ""),
            escape("\n".join(model.layers)),
            model.execution_provider.removesuffix("ExecutionProvider"),
        )
    return table
