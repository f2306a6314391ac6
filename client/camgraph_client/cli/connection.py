"""The options by which commands reach a server."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from camgraph_core.errors import UsageError
from camgraph_core.settings import Setting, check_settings

if TYPE_CHECKING:
    from camgraph_client.channel import Connection
    from camgraph_client.sync import Client

_ADDRESS = Setting("Address of a camgraph server.", metavar="HOST:PORT")


@dataclass(frozen=True, kw_only=True)
class ServerOptions:
    """A server, and how to talk to it."""

    server: Annotated[str | None, _ADDRESS] = None
    tls: Annotated[bool, Setting("Encrypt the connection to the server.")] = False
    tls_ca: Annotated[Path | None, Setting("PEM file with the authorities to trust. Implies --tls.", path="file")] = (
        None
    )
    timeout: Annotated[float, Setting("Seconds that a call to the server may take.", above=0)] = 60.0

    def __post_init__(self) -> None:
        check_settings(self)

    def connection(self, *, attempts: int = 4) -> Connection:
        """The connection for these options; a call is sent `attempts` times at most.

        Raises:
            UsageError: There is no address.

        """
        from camgraph_client.channel import Connection, Tls  # noqa: PLC0415 - grpc is an extra

        if not self.server:
            raise UsageError("The server's address is empty; give --server HOST:PORT.")
        encryption = Tls(self.tls_ca) if self.tls or self.tls_ca is not None else None
        return Connection(self.server, encryption, self.timeout, attempts=attempts)

    def open(self) -> Client:
        """A client with this connection.

        Raises:
            UsageError: There is no address.

        """
        from camgraph_client.sync import Client  # noqa: PLC0415 - grpc is an extra

        return Client(self.connection())


@dataclass(frozen=True, kw_only=True)
class RequiredServerOptions(ServerOptions):
    """As above, of a command that does nothing without a server."""

    server: Annotated[str, _ADDRESS]
