"""Answers that gRPC could not write, as their callers had gone."""

from __future__ import annotations

import asyncio
import logging
from typing import Any
from weakref import WeakSet

_LOGGER = "grpc._cython.cygrpc"
_SAYS = "ExecuteBatchError raised in core"


class Unwritten(logging.Filter):
    """Knows in which tasks gRPC failed to write.

    The answer of a call and its status are written when our part of the call is over. If that fails, gRPC tells nobody
    but its own log, as an error with a traceback. Its line is kept out of the log: a caller that leaves is no error.
    """

    def __init__(self) -> None:
        super().__init__()
        self._tasks: WeakSet[asyncio.Task[Any]] = WeakSet()

    @classmethod
    def of_grpc(cls) -> Unwritten:
        """The one that listens to gRPC's log in this process."""
        logger = logging.getLogger(_LOGGER)
        found = next((each for each in logger.filters if isinstance(each, cls)), None)
        if found is None:
            logger.addFilter(found := cls())
        return found

    def __contains__(self, task: object) -> bool:
        return task in self._tasks

    def filter(self, record: logging.LogRecord) -> bool:
        """Takes out a line about a failed write, and keeps whose it is. gRPC logs in the task of the call."""
        if not str(record.msg).startswith(_SAYS):
            return True
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
        return False
