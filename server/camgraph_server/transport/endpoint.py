"""The port: what gRPC is told about connections, the certificate, binding."""

from __future__ import annotations

from typing import Any

import grpc

from camgraph_server.address import Address
from camgraph_server.config import ServerConfig
from camgraph_server.config.limits import MIB
from camgraph_server.errors import BindError
from camgraph_server.followed import Followed
from camgraph_server.transport.tls import Certificate, credentials

_MOST_STREAMS = 1000  # calls at once on one connection; further ones wait in the client
_FRAME_BYTES = MIB  # a body in 37 frames of HTTP's 16 KiB costs more to take in than in one
_METADATA_BYTES = 8192  # of the headers of a call; a few more are let through by chance, and twice as many never


def channel_options(config: ServerConfig) -> list[tuple[str, Any]]:
    """Options of the server for gRPC."""
    options: list[tuple[str, Any]] = [
        ("grpc.max_receive_message_length", config.max_request_mib * MIB),
        ("grpc.max_send_message_length", config.max_response_mib * MIB),
        ("grpc.per_message_decompression", 0),  # we unpack messages ourselves, when it is known whose they are
        ("grpc.max_concurrent_streams", _MOST_STREAMS),
        ("grpc.http2.max_frame_size", _FRAME_BYTES),
        # With it, gRPC takes in megabytes of every body that nobody has asked for yet, outside of all limits.
        ("grpc.http2.bdp_probe", 0),
        ("grpc.max_allowed_incoming_connections", config.max_connections),
        ("grpc.max_metadata_size", _METADATA_BYTES),
        ("grpc.absolute_max_metadata_size", 2 * _METADATA_BYTES),
        ("grpc.server_handshake_timeout_ms", 20_000),  # for who connects and says nothing
        # Two servers on one port by mistake would share its calls silently; a supervisor looks first.
        ("grpc.so_reuseport", int(config.has_supervisor)),
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


def bind(server: grpc.aio.Server, config: ServerConfig, certificate: Followed[Certificate] | None) -> str:
    """Binds the port, with TLS if there is a certificate, and gives the address for clients.

    Raises:
        BindError: The address is taken or not allowed.
    """
    address = Address.parse(config.listen)
    try:
        if certificate is None:
            port = server.add_insecure_port(address.text)
        else:
            port = server.add_secure_port(address.text, credentials(certificate))
    except RuntimeError as error:
        raise BindError.of(address.text) from error
    return address.with_port(port)
