"""When a worker process that has ended is started again."""

from __future__ import annotations

_FIRST_DELAY = 0.1  # seconds
_LONGEST_DELAY = 30.0
_LONG_LIFE = 60.0  # seconds of service after which earlier failures count no more
_TRIES = 3


class Restarts:
    """Counts how often one worker has ended soon after its start."""

    def __init__(self) -> None:
        self.in_a_row = 0

    @property
    def is_hopeless(self) -> bool:
        """Whether it has been tried often enough, if nobody else serves."""
        return self.in_a_row >= _TRIES

    def delay_after(self, served: float | None) -> float:
        """Seconds to wait: twice as long after each life that was short.

        Args:
            served: Seconds that it was ready; None if it never was.
        """
        self.in_a_row = 1 if served is not None and served >= _LONG_LIFE else self.in_a_row + 1
        return min(_LONGEST_DELAY, _FIRST_DELAY * 2.0 ** (self.in_a_row - 1))
