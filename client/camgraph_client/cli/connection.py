"""The options by which commands reach a server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from camgraph_core.errors import UsageError

if TYPE_CHECKING:
    from camgraph_client.sync import Client

F = TypeVar("F", bound=Callable[..., Any])


def server_options(*, required: bool) -> Callable[[F], F]:
    """Adds `--server`, `--tls`, `--tls-ca` and `--timeout`; their values go to `open_client`."""
    options = (
        click.option("--server", metavar="HOST:PORT", required=required, help="Address of a camgraph server."),
        click.option("--tls", is_flag=True, help="Encrypt the connection to the server."),
        click.option(
            "--tls-ca",
            type=click.Path(exists=True, dir_okay=False, path_type=Path),
            help="PEM file with the authorities to trust; implies --tls.",
        ),
        click.option(
            "--timeout",
            type=float,
            default=60.0,
            help="Seconds that a call to the server may take.",
        ),
    )

    def add(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return add


def open_client(server: str, *, tls: bool, tls_ca: Path | None, timeout: float) -> Client:
    """The client for these options.

    Raises:
        UsageError: An option's value cannot be used.

    """
    from camgraph_client.channel import Connection, Tls  # noqa: PLC0415 - grpc is an extra
    from camgraph_client.sync import Client  # noqa: PLC0415 - grpc is an extra

    if not server:
        raise UsageError("The server's address is empty; give --server HOST:PORT.")
    encryption = Tls(tls_ca) if tls or tls_ca is not None else None
    return Client(Connection(server, encryption, timeout))
