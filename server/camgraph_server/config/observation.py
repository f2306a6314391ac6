"""What the server says of its work."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from camgraph_core.errors import UsageError
from camgraph_core.redaction import without_credentials
from camgraph_core.settings import Setting
from camgraph_server.address import Address

LogFormat = Literal["text", "json"]
_URL = re.compile(r"https?://[^/\s]+\S*")
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

    audit_log: Annotated[
        Path | None,
        Setting("File that gets a JSON line for each request, from which camgraph repeat repeats it bit for bit."),
    ] = None
    traces: Annotated[
        str | None,
        Setting(
            "URL of an OpenTelemetry collector (OTLP over HTTP) for traces and call durations. Needs the extra trace.",
            metavar="URL",
        ),
    ] = None
    trace_share: Annotated[
        float,
        Setting("Share of calls that are traced where callers do not say, 0 to 1.", at_least=0, at_most=1),
    ] = 0.1

    def check_observation(self) -> None:
        """Raises `UsageError` if an address cannot be one."""
        if self.metrics is not None and Address.parse(self.metrics).is_socket:
            raise UsageError(f"Metrics need an address HOST:PORT, not {self.metrics}.")
        if self.traces is not None and not _URL.fullmatch(self.traces):
            url = without_credentials(self.traces)
            raise UsageError(f"Traces need a URL such as http://localhost:4318, not {url}.")
