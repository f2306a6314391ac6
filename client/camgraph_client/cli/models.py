"""The command `camgraph models`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from camgraph_cli.options import options_of
from camgraph_client.cli.connection import RequiredServerOptions
from camgraph_core.settings import Setting

if TYPE_CHECKING:
    from camgraph_client.sync import Client
    from camgraph_core.models import ModelInfo

_NAMED = "NAME[/VERSION]"


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What is changed before models are listed, in this order. The server must run with ``--model-control``."""

    unload: Annotated[
        Sequence[str],
        Setting("Unload a model, or one version of it, until it is loaded again.", metavar=_NAMED, repeated=True),
    ] = ()
    load: Annotated[
        Sequence[str],
        Setting(
            "Load a model, or one version of it, if it is not loaded or its files have changed.",
            metavar=_NAMED,
            repeated=True,
        ),
    ] = ()
    reload: Annotated[
        bool, Setting("Have the server follow all changes of its repository now, and try again what failed.")
    ] = False

    def make(self, client: Client) -> None:
        """Has the server make them."""
        for named in self.unload:
            client.unload_model(*_name_and_version(named))
        for named in self.load:
            client.load_model(*_name_and_version(named))
        if self.reload:
            client.reload_repository()


@click.command()
@options_of(where=RequiredServerOptions, changes=Changes)
def models(where: RequiredServerOptions, changes: Changes) -> None:
    """List the models of a server, and change which of them are loaded."""
    with where.open() as client:
        changes.make(client)
        found = client.list_models()
    console = Console()
    console.print(_table(found))
    for model in found:
        if model.reason:
            text = f"  {model.name} (version {model.version}): {model.reason}"
            console.print(text, markup=False, highlight=False, soft_wrap=True)


def _name_and_version(named: str) -> tuple[str, str]:
    name, _, version = named.partition("/")
    return name, version


def _table(found: Iterable[ModelInfo]) -> Table:
    table = Table()
    for heading in ("name", "version", "state", "classes", "layers", "runs on", "bank"):
        table.add_column(heading, overflow="fold")
    for model in found:
        table.add_row(
            escape(model.name),
            escape(model.version),
            model.state,
            str(model.num_classes or ""),
            escape("\n".join(model.layers)),
            model.execution_provider.removesuffix("ExecutionProvider"),
            "yes" if model.has_bank else "",
        )
    return table
