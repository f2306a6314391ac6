"""The command `camgraph serve`."""

from __future__ import annotations

import asyncio
import contextlib
import json

import click

from camgraph_cli.options import options_of
from camgraph_cli.settings_text import schema, toml_table
from camgraph_server.config import ServerConfig
from camgraph_server.errors import UndrainedError
from camgraph_server.observe.log import configure_logging, log_settings
from camgraph_server.processes.supervisor import Supervisor


def _print_schema(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        click.echo(json.dumps(schema("serve", ServerConfig), indent=2))
        ctx.exit()


@click.command()
@options_of(config=ServerConfig)
@click.option("--print-config", is_flag=True, help="Print all settings as a TOML file and serve nothing.")
@click.option(
    "--config-schema",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_schema,
    help="Print the JSON schema of the TOML file and serve nothing.",
)
def serve(config: ServerConfig, print_config: bool) -> None:
    """Serve explainable graphs over gRPC until SIGTERM or SIGINT.

    Prints "listening on ADDRESS" on stdout once every model is loaded, and with --http a line for that address, too.
    All settings may stand in a TOML file, which --config names; variables of the environment stand above it, options
    above both.
    """
    if print_config:
        click.echo(toml_table("serve", config))
        return
    if not config.has_supervisor:
        # The supervisor needs neither gRPC nor onnxruntime.
        from camgraph_server.serving import serve_here  # noqa: PLC0415 - see above

        serve_here(config, lambda server: _announce(server.address, server.http_address))
    else:
        configure_logging(config.log_format, config.log_level)
        log_settings(config)
        if not asyncio.run(_supervise(config)):
            raise UndrainedError.after(config.grace)


async def _supervise(config: ServerConfig) -> bool:
    supervisor = Supervisor(config)
    return await supervisor.run(lambda address: _announce(address, supervisor.http_address))


def _announce(address: str, http_address: str | None) -> None:
    with contextlib.suppress(BrokenPipeError):  # nobody reads it: the server serves
        click.echo(f"listening on {address}")
        if http_address is not None:
            click.echo(f"listening for HTTP on {http_address}")
