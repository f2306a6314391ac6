"""Where the server listens, and how it treats connections."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from camgraph_core.errors import UsageError
from camgraph_core.settings import Setting
from camgraph_server.address import Address

_MOST_SECONDS = 1_000_000.0  # gRPC counts milliseconds in 31 bits


@dataclass(frozen=True, kw_only=True)
class NetworkSettings:
    """Where the server listens, and how it treats connections."""

    listen: Annotated[str, Setting("Address HOST:PORT or unix:PATH. Port 0 means a free port.")] = "127.0.0.1:8500"
    http: Annotated[
        str | None,
        Setting(
            "Address HOST:PORT for HTTP beside gRPC: KServe's protocols v1 and v2, health and metrics. Needs the extra "
            "http.",
            metavar="HOST:PORT",
        ),
    ] = None
    port_file: Annotated[Path | None, Setting("File that gets the bound port when the server is ready.")] = None
    receive_timeout: Annotated[
        float, Setting("Seconds that the body of a request may take to arrive.", above=0, at_most=_MOST_SECONDS)
    ] = 60.0
    write_timeout: Annotated[
        float,
        Setting(
            "Seconds that a caller may take to read an answer, and as long again for each 16 MiB of it. After that its "
            "connection is closed.",
            above=0,
            at_most=_MOST_SECONDS,
        ),
    ] = 60.0
    max_connections: Annotated[
        int,
        Setting(
            "Connections that a process keeps at once. Further ones are closed at once. Each takes a file descriptor.",
            at_least=1,
            at_most=1_000_000,
        ),
    ] = 1000
    max_connection_age: Annotated[
        float,
        Setting(
            "Seconds after which a client must reconnect, to reach new replicas. 0 means never.",
            at_least=0,
            at_most=_MOST_SECONDS,
        ),
    ] = 0.0

    def check_network(self) -> None:
        """Raises `UsageError` if an address cannot be one."""
        Address.parse(self.listen)
        if self.http is not None and Address.parse(self.http).is_socket:
            raise UsageError(f"HTTP needs an address HOST:PORT, not {self.http}.")
