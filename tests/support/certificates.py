"""Certificates for tests: an authority that issues them, also ones that have expired."""

from __future__ import annotations

import datetime
from pathlib import Path

import trustme


class Authority:
    """An authority of its own, whose files lie in a folder."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        self._folder = folder
        self._authority = trustme.CA()
        self._count = 0
        self.file = folder / f"{name}.pem"
        self._authority.cert_pem.write_to_path(str(self.file))

    def issue(self, *names: str, days: float = 90.0, common_name: str | None = None) -> tuple[Path, Path]:
        """PEM files of a certificate and its key, which expires in so many days."""
        self._count += 1
        paths = tuple(self._folder / f"{self.file.stem}-{self._count}-{kind}.pem" for kind in ("cert", "key"))
        now = datetime.datetime.now(datetime.UTC)
        issued = self._authority.issue_cert(
            *names,
            common_name=common_name,
            not_before=now - datetime.timedelta(days=365),
            not_after=now + datetime.timedelta(days=days),
        )
        issued.cert_chain_pems[0].write_to_path(str(paths[0]))
        issued.private_key_pem.write_to_path(str(paths[1]))
        paths[1].chmod(0o600)
        return paths[0], paths[1]
