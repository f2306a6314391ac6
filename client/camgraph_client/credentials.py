"""What a client shows of itself: a token with every call."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from pathlib import Path

from camgraph_core.errors import UsageError

_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")
_TARGET_SCHEMES = ("dns:///", "dns:", "ipv4:", "ipv6:")


@dataclass(frozen=True)
class Token:
    """A bearer token, or the file that it is in.

    Attributes:
        text: The token. It is left out where the object is shown.
        file: A file with nothing else. It is read for every call, so that a new token holds at once.

    Raises:
        UsageError: There is not one of both, or the text is no token.

    """

    text: str | None = field(default=None, repr=False)
    file: Path | None = None

    def __post_init__(self) -> None:
        if (self.text is None) == (self.file is None):
            raise UsageError("Give a token, or a file that it is in.")
        if self.text is not None:
            _checked(self.text, "The token")

    def header(self) -> tuple[str, str]:
        """The header that carries it.

        Raises:
            UsageError: The file cannot be read, or has no token.

        """
        if self.file is None:
            return "authorization", f"Bearer {self.text}"
        try:
            text = self.file.read_text(encoding="ascii", errors="replace").strip()
        except OSError as error:
            raise UsageError(f"The token file {self.file} cannot be read: {error.strerror}.") from error
        return "authorization", f"Bearer {_checked(text, f'The token file {self.file}')}"


def is_local(address: str) -> bool:
    """Whether what is sent to an address, as gRPC takes it, stays on this machine."""
    if address.startswith(("unix:", "unix-abstract:")):
        return True
    for scheme in _TARGET_SCHEMES:
        address = address.removeprefix(scheme)
    host = address.rpartition(":")[0].strip("[]")
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _checked(text: str, where: str) -> str:
    if not _TOKEN.fullmatch(text):
        raise UsageError(f"{where} is empty, or has characters that no token has, such as spaces.")
    return text
