"""Files that are read again when they change, while the server runs."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

from camgraph_core.errors import CamgraphError
from camgraph_core.settings import joined
from camgraph_server.observe.log import log_event

T = TypeVar("T")

_INTERVAL = 5.0  # seconds between two looks
_log = logging.getLogger("camgraph.access")


class Followed(Generic[T]):
    """What some files say together. While a newer version of them cannot be used, the last one holds.

    Args:
        what: What they are, for the log.
        paths: The files.
        read: Makes the value of them.
    """

    def __init__(self, what: str, paths: Sequence[Path], read: Callable[[], T]) -> None:
        self._what, self._paths, self._read = what, tuple(paths), read
        self._seen: list[tuple[int, int, int] | None] = []
        self._is_current = False  # what the files said when they were seen last is the value
        self._trouble = ""
        self._value: T | None = None

    def open(self) -> None:
        """Reads the files for the first time.

        Raises:
            CamgraphError: They cannot be used now.
        """
        self._seen = self._stamps()
        self._value = self._read()
        self._is_current = True

    def get(self) -> T:
        """What they say."""
        if self._value is None:
            raise RuntimeError(f"{self._what} was not opened")
        return self._value

    def look(self) -> None:
        """Reads the files again if one of them has changed, or could not be read the last time. It blocks."""
        stamps = self._stamps()  # before they are read: what changes meanwhile is seen by the next look
        has_changed = stamps != self._seen
        if not has_changed and self._is_current:
            return
        self._seen, self._is_current = stamps, False
        try:
            self._value = self._read()
        except CamgraphError as error:
            if has_changed or str(error) != self._trouble:
                log_event(_log, logging.ERROR, f"{self._what} changed and cannot be used", reason=str(error))
            self._trouble = str(error)
        else:
            self._is_current = True
            log_event(_log, logging.INFO, f"{self._what} changed", paths=", ".join(map(str, self._paths)))

    def _stamps(self) -> list[tuple[int, int, int] | None]:
        return [_stamp(path) for path in self._paths]


class Follower:
    """A thread that looks at files every few seconds.

    Args:
        followed: The files.
    """

    def __init__(self, followed: Sequence[Followed[Any]]) -> None:
        self._followed = tuple(followed)
        self._is_stopping = False
        self._woken = threading.Event()
        self._thread = threading.Thread(target=self._run, name="camgraph-files", daemon=True)

    def start(self) -> None:
        """Reads them, and looks from now on.

        Raises:
            CamgraphError: Some cannot be used now. The message lists them; its class is that of the first.
        """
        errors: list[CamgraphError] = []
        for followed in self._followed:
            try:
                followed.open()
            except CamgraphError as error:
                errors.append(error)
        if errors:
            raise type(errors[0])(joined([str(error) for error in errors]))
        if self._followed:
            self._thread.start()

    def hurry(self) -> None:
        """Has the thread look at once."""
        self._woken.set()

    def stop(self) -> None:
        """Looks no more."""
        self._is_stopping = True
        self._woken.set()

    def _run(self) -> None:
        while True:
            self._woken.wait(_INTERVAL)
            self._woken.clear()
            if self._is_stopping:
                return
            for followed in self._followed:
                try:
                    followed.look()
                except Exception:  # the next look may go better
                    log_event(_log, logging.ERROR, "unexpected error while looking at files", trace=True)


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
