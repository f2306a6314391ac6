"""The options by which commands reach a server."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from camgraph_core.errors import UsageError
from camgraph_core.settings import Setting, check_settings

if TYPE_CHECKING:
    from camgraph_client.channel import Connection
    from camgraph_client.credentials import Token
    from camgraph_client.sync import Client

_TOKEN_VARIABLE = "CAMGRAPH_TOKEN"
_ADDRESS = Setting("Address of a camgraph server.", metavar="HOST:PORT")


@dataclass(frozen=True, kw_only=True)
class ServerOptions:
    """A server, and how to talk to it."""

    server: Annotated[str | None, _ADDRESS] = None
    tls: Annotated[bool, Setting("Encrypt the connection to the server.")] = False
    tls_ca: Annotated[Path | None, Setting("PEM file with the authorities to trust. Implies --tls.", path="file")] = (
        None
    )
    tls_cert: Annotated[
        Path | None, Setting("PEM file with your certificate chain. Needs --tls-key, implies --tls.", path="file")
    ] = None
    tls_key: Annotated[Path | None, Setting("PEM file with its private key. Needs --tls-cert.", path="file")] = None
    token_file: Annotated[
        Path | None,
        Setting(
            f"File with the token by which the server knows you; without it the variable {_TOKEN_VARIABLE}.",
            path="file",
        ),
    ] = None
    allow_plaintext_token: Annotated[
        bool, Setting("Send the token also to another machine without TLS, where others can read it.")
    ] = False
    timeout: Annotated[float, Setting("Seconds that a call to the server may take.", above=0)] = 60.0

    def __post_init__(self) -> None:
        check_settings(self)
        if (self.tls_cert is None) != (self.tls_key is None):
            raise UsageError("Your certificate needs both tls-cert and tls-key; only one of them is set.")

    def connection(self, *, attempts: int = 4) -> Connection:
        """The connection for these options; a call is sent `attempts` times at most.

        Raises:
            UsageError: There is no address, or it and the token do not fit together.

        """
        from camgraph_client.channel import Connection, Tls  # noqa: PLC0415 - grpc is an extra

        if not self.server:
            raise UsageError("The server's address is empty; give --server HOST:PORT.")
        is_encrypted = self.tls or self.tls_ca is not None or self.tls_cert is not None
        return Connection(
            self.server,
            Tls(self.tls_ca, cert_file=self.tls_cert, key_file=self.tls_key) if is_encrypted else None,
            self.timeout,
            attempts=attempts,
            token=self._token(),
            allow_plaintext_token=self.allow_plaintext_token,
        )

    def _token(self) -> Token | None:
        from camgraph_client.credentials import Token  # noqa: PLC0415 - with the client

        if self.token_file is not None:
            return Token(file=self.token_file)
        text = os.environ.get(_TOKEN_VARIABLE)
        return Token(text.strip()) if text else None

    def open(self, *, attempts: int = 4) -> Client:
        """A client with this connection; see `connection`.

        Raises:
            UsageError: There is no address.

        """
        from camgraph_client.sync import Client  # noqa: PLC0415 - grpc is an extra

        return Client(self.connection(attempts=attempts))


@dataclass(frozen=True, kw_only=True)
class RequiredServerOptions(ServerOptions):
    """As above, of a command that does nothing without a server."""

    server: Annotated[str, _ADDRESS]
