"""What the server says of its work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from camgraph_core.errors import UsageError
from camgraph_core.settings import Setting
from camgraph_server.address import Address

LogFormat = Literal["text", "json"]
LogLevel = Literal["debug", "info", "warning", "error"]


@dataclass(frozen=True, kw_only=True)
class ObservationSettings:
    """What the server says of its work."""

    log_format: Annotated[LogFormat, Setting("Format of the log on stderr, one line per event.")] = "text"
    log_level: Annotated[LogLevel, Setting("Lowest severity that is logged.")] = "info"
    metrics: Annotated[
        str | None,
        Setting(
            "Address HOST:PORT for metrics of Prometheus (/metrics) and a liveness probe (/healthz), over plain HTTP.",
            metavar="HOST:PORT",
        ),
    ] = None

    def check_observation(self) -> None:
        """Raises `UsageError` if an address cannot be one."""
        if self.metrics is not None and Address.parse(self.metrics).is_socket:
            raise UsageError(f"Metrics need an address HOST:PORT, not {self.metrics}.")
