"""Memory of models: how much they take, how much they may take together, and how it is given back."""

from __future__ import annotations

import threading

from camgraph_core.errors import UnsupportedError
from camgraph_server.config.limits import MIB
from camgraph_server.heap import trim

_TIMES_THE_FILES = 2
_BESIDE = 8 * MIB
"""What a loaded model takes at most beside twice its files, for images of its own size: benchmarks/model_memory.py."""


class ModelMemory:
    """Counts what loaded models take, estimated from the size of their files, until they are closed.

    Args:
        size: Bytes that they may take together; None means any number.
    """

    def __init__(self, size: int | None = None) -> None:
        self._size = size
        self._taken = 0
        self._lock = threading.Lock()

    def take(self, files: int) -> int:
        """Counts a model and gives what it is counted with, which belongs to `give_back`.

        Args:
            files: Bytes of its files.

        Raises:
            UnsupportedError: There is too little left for it.
        """
        needed = _TIMES_THE_FILES * files + _BESIDE
        with self._lock:
            if self._size is not None and self._taken + needed > self._size:
                raise UnsupportedError(
                    f"It would take about {needed / MIB:.0f} MiB of memory, and of the {self._size / MIB:.0f} MiB for "
                    f"models {self._taken / MIB:.0f} are taken. Unload another model, or raise --max-model-memory-mib."
                )
            self._taken += needed
        return needed

    def give_back(self, taken: int) -> None:
        """Counts a model no more, and returns what is free in this process to the system."""
        with self._lock:
            self._taken -= taken
        trim()
