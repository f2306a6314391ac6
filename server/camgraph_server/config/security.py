"""Who may connect."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from camgraph_core.errors import UsageError
from camgraph_core.settings import Setting


@dataclass(frozen=True, kw_only=True)
class SecuritySettings:
    """Who may connect."""

    tls_cert: Annotated[Path | None, Setting("PEM file with the certificate chain. Needs --tls-key.", path="file")] = (
        None
    )
    tls_key: Annotated[Path | None, Setting("PEM file with the private key. Needs --tls-cert.", path="file")] = None

    def check_security(self) -> None:
        """Raises `UsageError` if only one of two files is set that belong together."""
        if (self.tls_cert is None) != (self.tls_key is None):
            raise UsageError("TLS needs both tls-cert and tls-key; only one of them is set.")
