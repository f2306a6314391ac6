"""Programs of others in environments of their own (`make peers`), which tests talk to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

_PEERS = Path(__file__).resolve().parent.parent.parent / ".peers"


@dataclass(frozen=True)
class Peer:
    """One environment, which holds what tests/peers/requirements/NAME.txt lists."""

    folder: Path

    @property
    def python(self) -> Path:
        """The interpreter that has the packages."""
        return self.folder / "bin" / "python"

    @property
    def packages(self) -> Path:
        """The folder with the installed packages (site-packages)."""
        return next((self.folder / "lib").glob("python3.*")) / "site-packages"

    def program(self, name: str) -> Path:
        """A program that one of the packages installs."""
        return self.folder / "bin" / name


def installed(name: str) -> Peer:
    """The peer, or else the test is skipped."""
    folder = _PEERS / name
    if not (folder / ".installed").is_file():
        pytest.skip(f"The peer {name} is not installed: make peers PEERS={name}")
    return Peer(folder)
