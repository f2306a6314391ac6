"""The command `camgraph serve`."""

from __future__ import annotations

import asyncio

import click

from camgraph_cli.options import options_of
from camgraph_core.errors import CamgraphError
from camgraph_runtime.run.blas import limit_blas_threads
from camgraph_server.config import ServerConfig
from camgraph_server.lifecycle import Server
from camgraph_server.observe.log import configure_logging


@click.command()
@options_of(config=ServerConfig)
def serve(config: ServerConfig) -> None:
    """Serve explainable graphs over gRPC until SIGTERM or SIGINT.

    Prints "listening on ADDRESS" on stdout once every model is loaded.
    """
    limit_blas_threads()
    configure_logging(config.log_format, config.log_level)
    if not asyncio.run(Server(config).run(_announce)):
        raise CamgraphError(f"Stopped, but some requests did not finish within {config.grace:g} s.")


def _announce(address: str) -> None:
    click.echo(f"listening on {address}")
