"""Where log lines go: through a bounded queue and a thread of its own, so that a stalled reader stops nobody."""

from __future__ import annotations

import logging
import os
import reprlib
import threading
import time
from collections import deque

_MOST_LINES = 10_000
"""Lines that may wait. At 200 bytes a line that is 2 MB, and minutes of a busy server's log."""

_STDERR = 2
_MOMENT = 0.05  # seconds that a line may wait for others
_QUIET = 40  # moments without a line after which the thread sleeps until one wakes it
_SHORT = reprlib.Repr()  # it raises for no object
_SHORT.maxstring = 200
_FAREWELL = 2.0
"""Seconds that the last lines get to leave when the process ends; a stalled reader takes none."""


class LogSink(logging.Handler):
    """Hands records to a thread that writes them; when too many wait, it drops new ones and counts them.

    The count is written as a line of its own as soon as lines are written again. To wake the thread for a line costs
    more than the line does: so the thread looks for lines from moment to moment as long as some come.

    Args:
        descriptor: Where the lines go. It is written to directly: a buffer in between has a lock, which the end of
            the process would wait for.
        capacity: Records that may wait.

    Attributes:
        descriptor: Where the lines go.
        dropped: Records that were dropped since the start, or could not be written, as to a full disk.
    """

    def __init__(self, descriptor: int = _STDERR, capacity: int = _MOST_LINES) -> None:
        super().__init__()
        self.descriptor = descriptor
        self._capacity = capacity
        self._waiting: deque[logging.LogRecord] = deque()
        self._has_some = threading.Event()
        self._is_closing = threading.Event()
        self._is_idle = threading.Event()
        self._is_idle.set()
        self._is_whole = True  # the last line that was written
        self._dropped = 0  # that no line has told yet
        self.dropped = 0
        self._count_lock = threading.Lock()
        threading.Thread(target=self._write_all, name="camgraph-log", daemon=True).start()

    def handle(self, record: logging.LogRecord) -> bool:
        """Takes a record without waiting. The handler's own lock is left out: no writer ever holds it."""
        if len(self._waiting) < self._capacity:
            self._waiting.append(record)
        else:
            self._count_one()
        if not self._has_some.is_set():
            self._has_some.set()
        return True

    def close(self) -> None:
        """Waits until the last lines have left, but not for a reader that has stalled."""
        self._is_closing.set()
        end = time.monotonic() + _FAREWELL
        while (self._waiting or not self._is_idle.is_set()) and time.monotonic() < end:
            time.sleep(0.005)
        super().close()

    def _write_all(self) -> None:
        while True:
            self._has_some.wait()
            quiet = 0
            while quiet < _QUIET:
                self._is_closing.wait(_MOMENT)
                quiet = 0 if self._waiting else quiet + 1
                self._write_waiting()
            self._has_some.clear()
            if self._waiting:  # it came before that, and so has woken nobody
                self._has_some.set()

    def _write_waiting(self) -> None:
        self._is_idle.clear()
        while self._waiting:
            if not self._write(self._waiting.popleft()):
                self._count_one()
            elif (dropped := self._dropped) and self._write(_notice(f"{dropped} lines of the log were dropped")):
                with self._count_lock:
                    self._dropped -= dropped
        self._is_idle.set()

    def _count_one(self) -> None:
        with self._count_lock:
            self._dropped += 1
            self.dropped += 1

    def _write(self, record: logging.LogRecord) -> bool:
        """Writes a line; False if the reader has gone or the disk is full. Serving goes on."""
        line = f"{self._text(record)}\n".encode(errors="backslashreplace")
        if not self._is_whole:
            line = b"\n" + line
        try:
            while line:
                line = line[os.write(self.descriptor, line) :]
                self._is_whole = not line
        except OSError:
            return False
        return True

    def _text(self, record: logging.LogRecord) -> str:
        try:
            return self.format(record)
        except Exception as error:  # a library's message and arguments do not fit: without this no line would follow
            kind, text = type(error).__name__, _SHORT.repr(record.msg)
            return self.format(_notice(f"a line of {record.name} cannot be written ({kind}): {text}"))


def _notice(text: str) -> logging.LogRecord:
    return logging.LogRecord("camgraph.log", logging.WARNING, __file__, 0, text, (), None)
