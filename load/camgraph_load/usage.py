"""What the server takes during a run: processors and memory, from its own metrics."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from http.client import HTTPException
from types import TracebackType
from typing import Any, Self, TypeAlias
from urllib.request import urlopen

import numpy as np
from numpy.typing import NDArray

from camgraph_core.errors import CamgraphError, InvalidInputError, UnavailableError
from camgraph_core.redaction import without_credentials

USAGE = np.dtype([("at", "f8"), ("cpu", "f8"), ("memory", "f8")])
"""Seconds since the start of a run; CPU seconds of the server so far; bytes of its memory."""

Usage: TypeAlias = NDArray[Any]
NONE: Usage = np.zeros(0, USAGE)

_CPU, _MEMORY = "process_cpu_seconds_total", "process_resident_memory_bytes"
_PERIOD = 0.5  # seconds between two looks
_PATIENCE = 2.0  # seconds for an answer
_MOST_BYTES = 64 * 1024 * 1024


class UsageWatch:
    """Looks at a server's metrics from time to time, as long as its context lasts.

    Args:
        url: Of the metrics, `http://HOST:PORT/metrics`.

    Raises:
        UnavailableError: Nothing answers there.
        InvalidInputError: What answers has no metrics of a process.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._rows: list[tuple[float, float, float]] = []
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="camgraph-usage", daemon=True)
        self._look()

    def since(self, start: float) -> Usage:
        """What was seen, with its times from a moment on the clock of `time.monotonic`."""
        usage = np.array(self._rows, USAGE)
        usage["at"] -= start
        return usage

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._is_over.wait(_PERIOD):
            try:
                self._look()
            except CamgraphError:  # a look that fails is a gap in the plot
                continue

    def _look(self) -> None:
        began = time.monotonic()
        try:
            with urlopen(self._url, timeout=_PATIENCE) as answer:
                text: str = answer.read(_MOST_BYTES).decode()
        except (OSError, HTTPException, ValueError) as error:
            raise UnavailableError(
                f"The metrics at {without_credentials(self._url)} cannot be read: {error}."
            ) from error
        sums = sums_of(text.splitlines())
        if len(sums) < 2:
            raise InvalidInputError(
                f"{without_credentials(self._url)} has no metrics of a server's process. Start the server with "
                "--metrics, and give http://HOST:PORT/metrics."
            )
        self._rows.append(((began + time.monotonic()) / 2, sums[_CPU], sums[_MEMORY]))


def sums_of(lines: Iterable[str]) -> dict[str, float]:
    """CPU seconds and memory of all processes that metrics in Prometheus' text format tell."""
    sums: dict[str, float] = {}
    for line in lines:
        name = line.partition("{")[0].partition(" ")[0]
        if name in {_CPU, _MEMORY}:
            sums[name] = sums.get(name, 0.0) + float(line.rpartition("}")[2].split()[-1])
    return sums


def processors(usage: Usage) -> NDArray[np.float64]:
    """CPU seconds per second between one look and the next; a restarted process counts from zero."""
    spent, passed = np.diff(usage["cpu"]), np.diff(usage["at"])
    values: NDArray[np.float64] = np.maximum(0.0, spent) / np.maximum(passed, 1e-9)
    return values
