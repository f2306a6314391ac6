"""Headers that are not text."""

from __future__ import annotations

import logging

_LOGGER = "grpc._cython.cygrpc"
_SAYS = "Invalid encoding on"


class Unreadable(logging.Filter):
    """Keeps headers that are not UTF-8 out of the log.

    gRPC gives such a header with its bytes replaced, and quotes it in its own log, as an error with a traceback. It may
    be the token of a client.
    """

    @classmethod
    def keep_out(cls) -> None:
        """Does so in this process."""
        logger = logging.getLogger(_LOGGER)
        if not any(isinstance(each, cls) for each in logger.filters):
            logger.addFilter(cls())

    def filter(self, record: logging.LogRecord) -> bool:
        """Takes out what quotes a header."""
        return not str(record.msg).startswith(_SAYS)
