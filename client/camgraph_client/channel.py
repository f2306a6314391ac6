"""How a client connects: message limits, retries, keepalive, TLS. The same for both faces of grpc."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from camgraph_client.credentials import Token, is_local
from camgraph_core.errors import UsageError

MIB = 1024 * 1024
_SERVICE = "camgraph.v1.ExplanationService"


@dataclass(frozen=True)
class Tls:
    """How the server proves who it is, and the client if it is asked.

    Attributes:
        ca_file: PEM file with the certificate authorities to trust; None means those of the system.
        server_name: The name in the server's certificate, where it differs from the address.
        cert_file: PEM file with the client's certificate chain, for a server that asks for one.
        key_file: PEM file with its private key.

    Raises:
        UsageError: Only one of certificate and key is set.

    """

    ca_file: Path | None = None
    server_name: str | None = None
    cert_file: Path | None = None
    key_file: Path | None = None

    def __post_init__(self) -> None:
        if (self.cert_file is None) != (self.key_file is None):
            raise UsageError("A client's certificate needs both cert_file and key_file; only one of them is set.")


@dataclass(frozen=True)
class Connection:
    """Where the server is and how to talk to it.

    Attributes:
        address: `HOST:PORT`, or whatever gRPC takes as a target, such as `dns:///camgraph:8500`. Where it stands for
            several servers, calls go to them in turn.
        tls: For an encrypted channel; None means plain text.
        timeout: Seconds that a call may take, retries included.
        attempts: How often a call is sent if the server is UNAVAILABLE, at most 5; 1 means no retry.
        max_message_mib: Largest request and response in MiB.
        token: Sent with every call, to a server that knows its clients by tokens.
        allow_plaintext_token: Whether the token may be sent where others can read it: without TLS, to another machine.

    """

    address: str
    tls: Tls | None = None
    timeout: float = 60.0
    attempts: int = 4
    max_message_mib: int = 256
    token: Token | None = None
    allow_plaintext_token: bool = False

    def __post_init__(self) -> None:
        if not self.address:
            raise UsageError("The server's address is empty; give HOST:PORT.")
        if self.timeout <= 0:
            raise UsageError(f"The timeout must be greater than 0 s, not {self.timeout:g}.")
        if not 1 <= self.attempts <= 5:
            raise UsageError(f"A call can be sent 1 to 5 times, not {self.attempts}.")
        if not (self.token is None or self.tls is not None or self.allow_plaintext_token or is_local(self.address)):
            raise UsageError(
                f"The token would be sent to {self.address} so that others can read it; use TLS, or allow a plaintext "
                "token where nobody else can read the network."
            )

    def credentials(self) -> grpc.ChannelCredentials | None:
        """Credentials of an encrypted channel; None for plain text.

        Raises:
            UsageError: A file cannot be read.

        """
        if self.tls is None:
            return None
        return grpc.ssl_channel_credentials(
            _content(self.tls.ca_file), _content(self.tls.key_file), _content(self.tls.cert_file)
        )

    def options(self) -> list[tuple[str, Any]]:
        """Channel arguments of gRPC."""
        limit = self.max_message_mib * MIB
        options: list[tuple[str, Any]] = [
            ("grpc.max_send_message_length", limit),
            ("grpc.max_receive_message_length", limit),
            ("grpc.keepalive_time_ms", 30_000),
            ("grpc.keepalive_timeout_ms", 10_000),
            # A server that is killed resets connections that have just been made. The default of 1000 ms before the
            # next one is as long as all tries of a call together.
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.service_config", json.dumps(_service_config(self.attempts))),
            # A request above this is sent only once; the default is 256 KiB, less than many photos.
            ("grpc.per_rpc_retry_buffer_size", limit),
        ]
        if self.tls is not None and self.tls.server_name is not None:
            options.append(("grpc.ssl_target_name_override", self.tls.server_name))
        return options


def _content(file: Path | None) -> bytes | None:
    try:
        return None if file is None else file.read_bytes()
    except OSError as error:
        raise UsageError(f"Cannot read {file}: {error.strerror}.") from error


def _service_config(attempts: int) -> dict[str, Any]:
    """Calls go in turn to all servers that an address stands for, such as the name of a headless service.

    Calls have no side effects, so whatever is UNAVAILABLE may be sent again; nothing else is worth it.
    """
    config: dict[str, Any] = {"loadBalancingConfig": [{"round_robin": {}}]}
    if attempts == 1:
        return config
    policy = {
        "maxAttempts": attempts,
        "initialBackoff": "0.2s",
        "maxBackoff": "2s",
        "backoffMultiplier": 2,
        "retryableStatusCodes": ["UNAVAILABLE"],
    }
    config["methodConfig"] = [
        {"name": [{"service": _SERVICE}], "retryPolicy": policy},
        {"name": [{"service": _SERVICE, "method": "ExplainStream"}]},  # opened again by whoever knows what is open
    ]
    return config
