"""The file of the audit log: lines are appended by a thread of its own, and a full disk stops nobody."""

from __future__ import annotations

import logging
import os
import queue
import threading
from pathlib import Path

from camgraph_server.errors import AuditError
from camgraph_server.observe.log import log_event

_MOST_LINES = 10_000
_MOST_BYTES = 64 * 1024 * 1024  # a line with masks may be large
_FAREWELL = 5.0  # seconds for the last lines
# A pipe that nobody reads refuses to be opened, and a full one to be written to, where they would hold up the server.
_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
_log = logging.getLogger("camgraph.audit")


class AuditFile:
    """Appends lines to a file. A file that was moved away is followed by a new one, so that it can be rotated.

    Args:
        path: The file. Only its owner may read it if it is new.

    Attributes:
        lost: Lines that could not be written, or waited too long.

    Raises:
        AuditError: It cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.lost = 0
        self._path = path
        self._waiting: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._held = 0
        self._lock = threading.Lock()
        self._is_whole = True  # the last line in the file is
        self._fails = False
        try:
            self._descriptor = self._open()
        except OSError as error:
            raise AuditError(
                f"The audit log {path} cannot be written: {error.strerror}. Name another file with --audit-log."
            ) from error
        self._thread = threading.Thread(target=self._write_all, name="camgraph-audit", daemon=True)
        self._thread.start()

    def add(self, line: bytes) -> None:
        """Takes a line without waiting; one for which there is no memory is lost, and counted."""
        with self._lock:
            fits = self._waiting.qsize() < _MOST_LINES and self._held + len(line) <= _MOST_BYTES
            self._held += len(line) if fits else 0
            self.lost += not fits
        if fits:
            self._waiting.put(line)

    def close(self) -> None:
        """Writes what waits. It blocks, for a few seconds at most."""
        self._waiting.put(None)
        self._thread.join(_FAREWELL)

    def _open(self) -> int:
        return os.open(self._path, _FLAGS, 0o600)

    def _write_all(self) -> None:
        while (line := self._waiting.get()) is not None:
            try:
                self._write(line)
                self._tell(None)
            except OSError as error:
                with self._lock:
                    self.lost += 1
                self._tell(error)
            with self._lock:
                self._held -= len(line)
        os.close(self._descriptor)

    def _write(self, line: bytes) -> None:
        self._follow()
        line = (b"" if self._is_whole else b"\n") + line + b"\n"
        written = os.write(self._descriptor, line)
        self._is_whole = self._is_whole if written == 0 else written == len(line)
        if written < len(line):
            raise OSError(0, f"{written} of {len(line)} bytes were written")

    def _follow(self) -> None:
        """Opens the file anew if it is another by now."""
        try:
            there = self._path.stat()
        except FileNotFoundError:
            there = None
        ours = os.fstat(self._descriptor)
        if there is None or (there.st_dev, there.st_ino) != (ours.st_dev, ours.st_ino):
            opened = self._open()
            os.close(self._descriptor)
            self._descriptor, self._is_whole = opened, True

    def _tell(self, error: OSError | None) -> None:
        """Logs that lines are lost, and that they are no longer."""
        if error is not None and not self._fails:
            log_event(_log, logging.ERROR, "audit log cannot be written", path=str(self._path), reason=error.strerror)
        if error is None and self._fails:
            log_event(_log, logging.WARNING, "audit log is written again", path=str(self._path), lost=self.lost)
        self._fails = error is not None
