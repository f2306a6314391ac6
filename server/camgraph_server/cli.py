"""The command `camgraph serve`."""

from __future__ import annotations

import asyncio
import logging
import os

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
    server = Server(config)
    drained = asyncio.run(server.run(_announce))
    problem = CamgraphError(f"Stopped, but some requests did not finish within {config.grace:g} s.")
    if server.is_stuck:
        _end_now(None if drained else problem)
    if not drained:
        raise problem


def _end_now(problem: CamgraphError | None) -> None:
    """Ends the process although a thread still works: Python would wait for it, and nobody waits for its result."""
    if problem is not None:
        click.echo(f"Error: {problem}", err=True)
    logging.shutdown()
    os._exit(0 if problem is None else problem.exit_code)


def _announce(address: str) -> None:
    click.echo(f"listening on {address}")
