"""Memory of models: how much they take, how much they may take together, and how it is given back."""

from __future__ import annotations

import sys
import threading

from camgraph_core.errors import UnsupportedError
from camgraph_runtime.run_memory import RunMemory
from camgraph_server.budget import Budget
from camgraph_server.config.limits import MIB
from camgraph_server.heap import trim

_TIMES_THE_FILES = 2
_BESIDE = 8 * MIB
"""What a loaded model takes at most beside twice its files, for images of its own size: benchmarks/model_memory.py."""


class ModelMemory:
    """Counts what loaded models take, estimated from the size of their files, until they are closed.

    Args:
        size: Bytes that they may take together; None means any number.
        workers: Runs of one model at the same time, at most.

    Attributes:
        runs: What the models leave, which is lent to runs that take more than an ordinary one.
    """

    def __init__(self, size: int | None = None, workers: int = 1) -> None:
        self._size = size
        self._workers = workers
        self._taken = 0
        self._lock = threading.Lock()
        self.runs = Budget(self._left)

    def take(self, files: int) -> int:
        """Counts a model and gives what it is counted with, which belongs to `give_back`.

        Args:
            files: Bytes of its files.

        Raises:
            UnsupportedError: There is too little left for it.
        """
        return self._take(_TIMES_THE_FILES * files + _BESIDE)

    def take_runs(self, memory: RunMemory | None) -> int:
        """Counts the ordinary runs of a model, whose memory onnxruntime keeps, beside what `take` has counted.

        Args:
            memory: What its runs take, if that was measured.

        Raises:
            UnsupportedError: There is too little left for them.
        """
        return self._take(max(0, self._workers * memory.kept - _BESIDE)) if memory is not None else 0

    def _take(self, needed: int) -> int:
        with self._lock:
            if self._size is not None and self._taken + needed > self._size:
                raise UnsupportedError(
                    f"It would take about {needed / MIB:.0f} MiB of memory, and of the {self._size / MIB:.0f} MiB for "
                    f"models {self._taken / MIB:.0f} are taken. Unload another model, or raise --max-model-memory-mib."
                )
            self._taken += needed
            self.runs.resize(self._left)
        return needed

    def give_back(self, taken: int) -> None:
        """Counts a model no more, and returns what is free in this process to the system."""
        with self._lock:
            self._taken -= taken
            self.runs.resize(self._left)
        trim()

    @property
    def _left(self) -> int:
        return sys.maxsize if self._size is None else self._size - self._taken
