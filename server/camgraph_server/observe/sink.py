"""Where log lines go: through a bounded queue and a thread of its own, so that a stalled reader stops nobody."""

from __future__ import annotations

import logging
import os
import queue
import threading
import time

_MOST_LINES = 10_000
"""Lines that may wait. At 200 bytes a line that is 2 MB, and minutes of a busy server's log."""

_STDERR = 2
_FAREWELL = 2.0
"""Seconds that the last lines get to leave when the process ends; a stalled reader takes none."""


class LogSink(logging.Handler):
    """Hands records to a thread that writes them; when too many wait, it drops new ones and counts them.

    The count is written as a line of its own as soon as lines are written again.

    Args:
        descriptor: Where the lines go. It is written to directly: a buffer in between has a lock, which the end of
            the process would wait for.
        capacity: Records that may wait.

    Attributes:
        descriptor: Where the lines go.
        dropped: Records that were dropped since the start.
    """

    def __init__(self, descriptor: int = _STDERR, capacity: int = _MOST_LINES) -> None:
        super().__init__()
        self.descriptor = descriptor
        self._waiting: queue.Queue[logging.LogRecord] = queue.Queue(capacity)
        self._dropped = 0
        self.dropped = 0
        self._count_lock = threading.Lock()
        threading.Thread(target=self._write_all, name="camgraph-log", daemon=True).start()

    def handle(self, record: logging.LogRecord) -> bool:
        """Takes a record without waiting. The handler's own lock is left out: no writer ever holds it."""
        try:
            self._waiting.put_nowait(record)
        except queue.Full:
            with self._count_lock:
                self._dropped += 1
                self.dropped += 1
        return True

    def close(self) -> None:
        """Waits until the last lines have left, but not for a reader that has stalled."""
        end = time.monotonic() + _FAREWELL
        while self._waiting.unfinished_tasks and time.monotonic() < end:
            time.sleep(0.005)
        super().close()

    def _write_all(self) -> None:
        while True:
            record = self._waiting.get()
            self._write(record)
            with self._count_lock:
                dropped, self._dropped = self._dropped, 0
            if dropped:
                self._write(_notice(dropped))
            self._waiting.task_done()

    def _write(self, record: logging.LogRecord) -> None:
        line = f"{self.format(record)}\n".encode(errors="backslashreplace")
        try:
            while line:
                line = line[os.write(self.descriptor, line) :]
        except OSError:  # the reader has gone, or the disk is full: serving goes on
            pass


def _notice(dropped: int) -> logging.LogRecord:
    text = f"{dropped} lines of the log were dropped, as nobody read it"
    return logging.LogRecord("camgraph.log", logging.WARNING, __file__, 0, text, (), None)
