"""The port: what gRPC is told about connections, the certificate, binding."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import grpc

from camgraph_server.address import Address
from camgraph_server.config import ServerConfig
from camgraph_server.config.limits import MIB
from camgraph_server.errors import BindError

_MOST_STREAMS = 1000  # calls at once on one connection; further ones wait in the client


def channel_options(config: ServerConfig) -> list[tuple[str, Any]]:
    """Options of the server for gRPC."""
    options: list[tuple[str, Any]] = [
        ("grpc.max_receive_message_length", config.max_request_mib * MIB),
        ("grpc.max_send_message_length", config.max_response_mib * MIB),
        ("grpc.max_concurrent_streams", _MOST_STREAMS),
        # Two servers on one port by mistake would share its calls silently; the supervisor of several looks first.
        ("grpc.so_reuseport", int(config.processes > 1)),
        # Tolerates clients that ping every 10 s to keep idle connections through load balancers.
        ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
        ("grpc.keepalive_permit_without_calls", 1),
        # Finds clients that are gone, or do not read: what they hold is given back.
        ("grpc.keepalive_time_ms", 60_000),
        ("grpc.keepalive_timeout_ms", 20_000),
    ]
    if config.max_connection_age > 0:
        options += [
            ("grpc.max_connection_age_ms", int(config.max_connection_age * 1e3)),
            ("grpc.max_connection_age_grace_ms", int(config.grace * 1e3)),
        ]
    return options


def bind(server: grpc.aio.Server, config: ServerConfig) -> str:
    """Binds the port and gives the address for clients.

    Raises:
        BindError: The address is taken or not allowed, or the TLS files cannot be used.
    """
    address = Address.parse(config.listen)
    try:
        if config.tls_cert is None or config.tls_key is None:
            port = server.add_insecure_port(address.text)
        else:
            port = server.add_secure_port(address.text, _credentials(config.tls_cert, config.tls_key))
    except RuntimeError as error:
        raise BindError.of(address.text) from error
    return address.with_port(port)


def _credentials(certificate: Path, key: Path) -> grpc.ServerCredentials:
    try:  # gRPC would only write to stderr what is wrong with the files
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password="")
    except OSError as error:
        raise BindError(
            f"The TLS files {certificate} and {key} are not a pair of certificate and unencrypted key "
            f"({error.strerror or error})."
        ) from error
    return grpc.ssl_server_credentials([(key.read_bytes(), certificate.read_bytes())])
