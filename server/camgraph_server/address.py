"""The address that a server listens on."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path

from camgraph_core.errors import UsageError

_UNIX = "unix:"
_HOST_AND_PORT = re.compile(r"(\[[0-9A-Fa-f:.%]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})")
_LAST_PORT = 65535


@dataclass(frozen=True)
class Address:
    """What `--listen` says: a host and a port, or the path of a socket.

    Attributes:
        text: As it was written, for gRPC.
    """

    text: str

    @classmethod
    def parse(cls, text: str) -> Address:
        """Checks an address: gRPC would listen on port 443 where none is given, and takes 99999 for 34463.

        Raises:
            UsageError: It is neither HOST:PORT nor unix:PATH.
        """
        if text.startswith(_UNIX):
            if not text.removeprefix(_UNIX).strip("/"):
                raise UsageError(f"The address {text!r} names no socket; write unix:PATH.")
            return cls(text)
        match = _HOST_AND_PORT.fullmatch(text)
        if match is None:
            raise UsageError(
                f"The address {text!r} is not HOST:PORT or unix:PATH. Examples are 127.0.0.1:8500, 0.0.0.0:8500 (all "
                "networks), [::1]:8500 and unix:/run/camgraph.sock."
            )
        if int(match[2]) > _LAST_PORT:
            raise UsageError(f"The address {text!r} has the port {match[2]}; the last one is {_LAST_PORT}.")
        return cls(text)

    @property
    def is_socket(self) -> bool:
        """Whether it is the path of a socket."""
        return self.text.startswith(_UNIX)

    @property
    def is_local(self) -> bool:
        """Whether what is sent to it stays on this machine."""
        if self.is_socket:
            return True
        host = self.text.rpartition(":")[0].strip("[]")
        try:
            return host == "localhost" or ipaddress.ip_address(host).is_loopback
        except ValueError:
            return False

    def with_port(self, port: int) -> str:
        """The address as clients use it, with the port that was bound."""
        return self.text if self.is_socket else f"{self.text.rpartition(':')[0]}:{port}"


def write_port(file: Path | None, address: str) -> None:
    """Writes the port of an address that was bound to a file, if there is one.

    Raises:
        UsageError: The file cannot be written.
    """
    if file is None:
        return
    try:
        file.write_text(f"{address.rpartition(':')[2]}\n", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"The port-file {file} cannot be written: {error.strerror}.") from error
