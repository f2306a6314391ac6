"""Who may connect: the files that say so, followed while the server runs, and what is made of them."""

from __future__ import annotations

from pathlib import Path

from camgraph_core.errors import UsageError
from camgraph_server.access.clients import Clients
from camgraph_server.access.clients_file import read_clients
from camgraph_server.access.door import Door
from camgraph_server.access.limits import ClientLimits
from camgraph_server.address import Address
from camgraph_server.config import ServerConfig
from camgraph_server.followed import Followed, Follower
from camgraph_server.transport.expiry import ExpiryWatch
from camgraph_server.transport.tls import followed_certificate


class Security:
    """Who may connect, and what each client may do.

    Args:
        config: The settings.

    Attributes:
        certificate: The server's certificate; None without TLS.
        door: Tells who calls.
        limits: Holds each client to its limits.
        expiry: Says when the certificate expires.
    """

    def __init__(self, config: ServerConfig) -> None:
        self._config = config
        self.certificate = followed_certificate(config)
        clients = None if config.clients is None else self._followed_clients(config.clients)
        self.door = Door(clients.get if clients is not None else None)
        self.limits = ClientLimits()
        self.expiry = ExpiryWatch(self.certificate)
        self._follower = Follower([item for item in (self.certificate, clients) if item is not None])

    async def start(self) -> None:
        """Reads the files, and follows them from now on.

        Raises:
            BindError: The TLS files cannot be used, or the certificate has expired.
            UsageError: The clients file cannot be used.
        """
        self._follower.start()
        self.expiry.start()

    async def stop(self) -> None:
        """Follows them no more."""
        self._follower.stop()
        await self.expiry.stop()

    def look(self) -> None:
        """Reads again what has changed, as soon as possible."""
        self._follower.hurry()

    def _followed_clients(self, path: Path) -> Followed[Clients]:
        return Followed("the clients file", [path], lambda: self._checked(read_clients(path), path))

    def _checked(self, clients: Clients, path: Path) -> Clients:
        config = self._config
        remote = [each for each in (config.listen, config.http) if each and not Address.parse(each).is_local]
        is_safe = config.tls_cert is not None or not remote
        if clients.has_tokens and not (is_safe or config.allow_plaintext_tokens):
            raise UsageError(
                f"The clients file {path} has tokens, and what is sent to {remote[0]} is not encrypted. Set "
                "tls-cert and tls-key, or allow-plaintext-tokens where nobody else can read the network."
            )
        if clients.has_certificates and config.tls_client_ca is None:
            raise UsageError(
                f"The clients file {path} has certificate-names, and the server asks for no certificate; set "
                "tls-client-ca."
            )
        return clients
