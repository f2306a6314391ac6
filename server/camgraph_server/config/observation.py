"""What the server says of its work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from camgraph_core.settings import Setting

LogFormat = Literal["text", "json"]
LogLevel = Literal["debug", "info", "warning", "error"]


@dataclass(frozen=True, kw_only=True)
class ObservationSettings:
    """What the server says of its work."""

    log_format: Annotated[LogFormat, Setting("Format of the log on stderr, one line per event.")] = "text"
    log_level: Annotated[LogLevel, Setting("Lowest severity that is logged.")] = "info"
