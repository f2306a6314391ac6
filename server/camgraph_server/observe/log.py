"""Logging: one line an event, as text with `key=value` facts or as JSON."""

from __future__ import annotations

import json
import logging
import re
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Literal

from camgraph_core.settings import changed
from camgraph_server.observe.sink import LogSink

_PLAIN = re.compile(r'[^ ="]+')
_FACTS = "camgraph_facts"
_LONGEST_VALUE = 200
_LONGEST_TEXT = 1000  # of what a library wrote


def log_event(logger: logging.Logger, level: int, message: str, *, trace: bool = False, **facts: object) -> None:
    """Logs one event.

    Args:
        logger: where to.
        level: severity of the standard library.
        message: what happened, without changing parts.
        trace: adds the traceback of the exception that is being handled.
        facts: the changing parts; None values are left out.
    """
    if not logger.isEnabledFor(level):
        return
    kept = {name: value for name, value in facts.items() if value is not None}
    logger.handle(_Event(logger.name, level, message, kept, sys.exc_info() if trace else None))


class _Event(logging.LogRecord):
    """The record of an event, without what a `LogRecord` finds out of the line, thread and process that it is of.

    No format of ours writes that, and to find it out takes longer than all else that is logged of a refused call.
    """

    def __init__(self, name: str, level: int, message: str, facts: Mapping[str, object], error: Any) -> None:
        now = time.time()
        vars(self).update(
            _OF_ALL, name=name, levelno=level, levelname=logging.getLevelName(level), msg=message, exc_info=error
        )
        self.created, self.msecs, self.camgraph_facts = now, now % 1 * 1e3, facts


_OF_ALL = vars(logging.LogRecord("", logging.NOTSET, __file__, 0, "", (), None))


def configure_logging(log_format: Literal["text", "json"], level: str) -> None:
    """Sends the log of this process, and the warnings of its libraries, to stderr in the given format.

    Nothing ever waits for the reader of stderr; see `LogSink`.
    """
    handler = LogSink()
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter())
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    logging.captureWarnings(capture=True)


def lines_dropped() -> int:
    """Lines of this process's log that could not be written, or that nobody read in time."""
    return sum(handler.dropped for handler in logging.getLogger().handlers if isinstance(handler, LogSink))


def log_settings(settings: Any) -> None:
    """Logs the settings that differ from their defaults, without secrets."""
    log_event(logging.getLogger("camgraph.lifecycle"), logging.INFO, "settings", **changed(settings))


class TextFormatter(logging.Formatter):
    """`2026-01-31T12:00:00.000Z INFO message key=value ...`; values that need it are quoted."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, and the traceback below it if there is one."""
        facts = "".join(f" {name}={_plain(name, value)}" for name, value in _facts(record).items())
        message = _message(record)
        line = f"{_time(record)} {record.levelname} {message if message.isprintable() else json.dumps(message)}{facts}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, message, the facts, and the traceback if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        entry: dict[str, object] = {
            "time": _time(record),
            "level": record.levelname,
            "message": _message(record),
        }
        entry |= {name: _shortened(name, value) for name, value in _facts(record).items()}
        if record.exc_info:
            entry["trace"] = self.formatException(record.exc_info)
        return json.dumps(entry, default=str)


def _message(record: logging.LogRecord) -> str:
    """What happened; what a library says may have been written by a caller, and be long."""
    text = record.getMessage()
    return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}..."


def _facts(record: logging.LogRecord) -> Mapping[str, Any]:
    facts: Mapping[str, Any] = getattr(record, _FACTS, {})
    return facts


def _time(record: logging.LogRecord) -> str:
    return f"{_second(int(record.created))}.{int(record.msecs):03}Z"


@lru_cache(1)
def _second(moment: int) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _plain(name: str, value: object) -> str:
    text = str(_shortened(name, value))
    # Callers choose some of the values: quoting keeps them from forging further facts or lines.
    return text if text.isprintable() and _PLAIN.fullmatch(text) else json.dumps(text)


def _shortened(name: str, value: object) -> object:
    longest = _LONGEST_TEXT if name == "text" else _LONGEST_VALUE
    if isinstance(value, float):
        return round(value, 3)
    if isinstance(value, str) and len(value) > longest:
        return value[:longest] + "..."
    return value
