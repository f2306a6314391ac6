"""The command `camgraph serve`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import click

from camgraph_core.errors import CamgraphError
from camgraph_runtime.run.threads import limit_blas_threads
from camgraph_server.config import ServerConfig
from camgraph_server.lifecycle import Server
from camgraph_server.observe.log import configure_logging

_DEFAULT = ServerConfig(model_repository=Path())
_READABLE_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.option(
    "--model-repository",
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Directory with NAME.onnx, NAME/model.onnx or NAME/VERSION/model.onnx.",
)
@click.option("--listen", default=_DEFAULT.listen, help="Address HOST:PORT or unix:PATH; port 0 takes a free one.")
@click.option(
    "--port-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File that gets the bound port once the server is ready.",
)
@click.option(
    "--device",
    type=click.Choice(["cpu", "cuda", "auto"]),
    default=_DEFAULT.device,
    help="Where graphs run. cuda does not start without CUDA; auto takes CUDA if it is to be had.",
)
@click.option(
    "--fast-int8",
    is_flag=True,
    default=_DEFAULT.fast_int8,
    help="Keep onnxruntime's default 8-bit kernels, also where they saturate on this CPU.",
)
@click.option(
    "--workers",
    type=int,
    default=_DEFAULT.workers,
    help="Requests worked on at the same time; 0 = the usable CPUs.",
)
@click.option(
    "--queue-capacity",
    type=int,
    default=_DEFAULT.queue_capacity,
    help="Requests that may wait; further ones are refused as UNAVAILABLE.",
)
@click.option("--max-request-mib", type=int, default=_DEFAULT.max_request_mib, help="Largest request in MiB.")
@click.option("--max-response-mib", type=int, default=_DEFAULT.max_response_mib, help="Largest response in MiB.")
@click.option(
    "--max-megapixels",
    type=float,
    default=_DEFAULT.max_megapixels,
    help="Largest photo in millions of pixels.",
)
@click.option("--max-targets", type=int, default=_DEFAULT.max_targets, help="Most targets of one request.")
@click.option(
    "--grace",
    type=float,
    default=_DEFAULT.grace,
    help="Seconds that requests in flight get to finish after SIGTERM.",
)
@click.option(
    "--max-connection-age",
    type=float,
    default=_DEFAULT.max_connection_age,
    help="Seconds after which clients reconnect; 0 = never.",
)
@click.option("--tls-cert", type=_READABLE_FILE, help="PEM file with the certificate chain; needs --tls-key.")
@click.option("--tls-key", type=_READABLE_FILE, help="PEM file with the private key; needs --tls-cert.")
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default=_DEFAULT.log_format,
    help="Format of the log on stderr.",
)
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default=_DEFAULT.log_level,
    help="Least severity that is logged.",
)
def serve(**settings: Any) -> None:
    """Serve explainable graphs over gRPC until SIGTERM or SIGINT.

    Prints "listening on ADDRESS" on stdout once every model is loaded.
    """
    limit_blas_threads()
    config = ServerConfig(**settings)
    configure_logging(config.log_format, config.log_level)
    if not asyncio.run(Server(config).run(_announce)):
        raise CamgraphError(f"Stopped, but some requests did not finish within {config.grace:g} s.")


def _announce(address: str) -> None:
    click.echo(f"listening on {address}")
