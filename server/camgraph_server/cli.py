"""The command `camgraph serve`."""

from __future__ import annotations

import asyncio

import click

from camgraph_cli.options import options_of
from camgraph_server.config import ServerConfig
from camgraph_server.errors import UndrainedError
from camgraph_server.observe.log import configure_logging
from camgraph_server.processes.supervisor import Supervisor


@click.command()
@options_of(config=ServerConfig)
def serve(config: ServerConfig) -> None:
    """Serve explainable graphs over gRPC until SIGTERM or SIGINT.

    Prints "listening on ADDRESS" on stdout once every model is loaded.
    """
    if config.processes == 1:
        # The supervisor of several processes needs neither gRPC nor onnxruntime.
        from camgraph_server.serving import serve_here  # noqa: PLC0415 - see above

        serve_here(config, lambda server: _announce(server.address))
    else:
        configure_logging(config.log_format, config.log_level)
        if not asyncio.run(_supervise(config)):
            raise UndrainedError.after(config.grace)


async def _supervise(config: ServerConfig) -> bool:
    return await Supervisor(config).run(_announce)


def _announce(address: str) -> None:
    click.echo(f"listening on {address}")
