"""Who may connect, and what they may do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from camgraph_core.errors import UsageError
from camgraph_core.settings import Setting


@dataclass(frozen=True, kw_only=True)
class SecuritySettings:
    """Who may connect, and what they may do."""

    tls_cert: Annotated[
        Path | None,
        Setting(
            "PEM file with the certificate chain. Needs --tls-key. Both are read again when they change.", path="file"
        ),
    ] = None
    tls_key: Annotated[Path | None, Setting("PEM file with the private key. Needs --tls-cert.", path="file")] = None
    tls_client_ca: Annotated[
        Path | None,
        Setting("PEM file with the authorities whose certificates clients must show. Needs --tls-cert.", path="file"),
    ] = None
    clients: Annotated[
        Path | None,
        Setting(
            "TOML file with the clients that may call: their tokens or certificates, models and limits. It is read "
            "again when it changes. Without it everybody may call.",
            path="file",
        ),
    ] = None
    allow_plaintext_tokens: Annotated[
        bool, Setting("Take tokens of clients also where the network between is not encrypted.")
    ] = False
    reflection: Annotated[
        bool, Setting("Do not tell callers which services and messages there are.", option="--no-reflection")
    ] = True

    def check_security(self) -> None:
        """Raises `UsageError` if only one of two files is set that belong together."""
        if (self.tls_cert is None) != (self.tls_key is None):
            raise UsageError("TLS needs both tls-cert and tls-key; only one of them is set.")
        if self.tls_client_ca is not None and self.tls_cert is None:
            raise UsageError("Certificates of clients (tls-client-ca) need TLS; set tls-cert and tls-key, too.")
