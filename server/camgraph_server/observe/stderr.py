"""What libraries write to stderr becomes lines of the log: libtiff, libjpeg, onnxruntime and gRPC know no other way.

Their writes go into a pipe, from which a thread makes records. The pipe never blocks a writer: what does not fit into
it is lost.
"""

from __future__ import annotations

import contextlib
import faulthandler
import fcntl
import logging
import os
import threading
import time
from collections.abc import Iterator

from camgraph_server.observe.log import log_event
from camgraph_server.observe.sink import LogSink

_STDERR = 2
_PIPE_BYTES = 1024 * 1024  # for bursts that come while a library keeps Python from running
_LONGEST_LINE = 4096
_MOST_LINES = 100  # per second: an image can make a library complain without end, and calls must stay in the log
_FAREWELL = 1.0  # seconds for the last lines
_log = logging.getLogger("camgraph.stderr")


@contextlib.contextmanager
def captured_stderr() -> Iterator[None]:
    """Makes records of what is written to stderr while it lasts; the log itself goes where stderr went before.

    If the process crashes meanwhile, Python's own report of it goes there, too. What a library wrote in the last moment
    may be lost.
    """
    try:
        before = os.dup(_STDERR)
    except OSError:  # it is closed, so nobody writes to it
        yield
        return
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    if hasattr(fcntl, "F_SETPIPE_SZ"):  # Linux
        with contextlib.suppress(OSError):  # more than this user may have
            fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    for handler in logging.getLogger().handlers:
        if isinstance(handler, LogSink):
            handler.descriptor = before
    os.dup2(writing, _STDERR)
    os.close(writing)
    faulthandler.enable(before)
    reader = threading.Thread(target=_read_all, args=(reading,), name="camgraph-stderr", daemon=True)
    reader.start()
    try:
        yield
    finally:
        faulthandler.disable()
        os.dup2(before, _STDERR)  # closes the pipe's last end, so that the reader ends
        reader.join(_FAREWELL)


def _read_all(descriptor: int) -> None:
    rate = _Rate()
    rest = b""
    while data := os.read(descriptor, 65536):
        *lines, rest = (rest + data).split(b"\n")
        while len(rest) > _LONGEST_LINE:
            lines.append(rest[:_LONGEST_LINE])
            rest = rest[_LONGEST_LINE:]
        for line in lines:
            rate.log(line)
    rate.log(rest)
    os.close(descriptor)


class _Rate:
    """Logs lines, few enough for each second, and says how many it left out."""

    def __init__(self) -> None:
        self._second = 0
        self._lines = 0
        self._left_out = 0

    def log(self, line: bytes) -> None:
        text = line.decode(errors="replace").strip()
        if not text:
            return
        now = int(time.monotonic())
        if now != self._second:
            self._second, self._lines = now, 0
        self._lines += 1
        if self._lines > _MOST_LINES:
            self._left_out += 1
            return
        left_out, self._left_out = self._left_out or None, 0
        log_event(_log, logging.WARNING, "a library wrote", text=text, lines_left_out=left_out)
