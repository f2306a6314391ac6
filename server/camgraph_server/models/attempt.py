"""An attempt to load the files of a model, beside what serves."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from camgraph_core.errors import CamgraphError, DeviceError, InvalidGraphError
from camgraph_runtime.bank.beside import bank_bytes
from camgraph_runtime.explainers import AnyExplainer
from camgraph_server.heap import trim
from camgraph_server.models.discovery import Entry
from camgraph_server.models.loaded import Loaded
from camgraph_server.models.memory import ModelMemory
from camgraph_server.observe.log import log_event

Loader = Callable[[Path], AnyExplainer]
_log = logging.getLogger("camgraph.repository")


@dataclass(frozen=True)
class Attempt:
    """What came of it.

    Attributes:
        entry: The files.
        loaded: Their explainer, if they could be loaded.
        reason: Why it may not serve; empty if it may.
    """

    entry: Entry
    loaded: Loaded | None = None
    reason: str = ""


def attempt(entry: Entry, loader: Loader, memory: ModelMemory, *, device_error_is_fatal: bool = False) -> Attempt:
    """Loads files.

    Args:
        entry: The files.
        loader: Makes an explainer of a graph's file, or says why it cannot.
        memory: Counts what the explainer takes until it is closed.
        device_error_is_fatal: Whether it raises if the device is not available.

    Raises:
        DeviceError: The device is not available.
    """
    try:
        return Attempt(entry, _loaded(entry, loader, memory))
    except CamgraphError as error:
        if isinstance(error, DeviceError) and device_error_is_fatal:
            raise
        return _failed(entry, str(error))
    except Exception as error:  # a file that breaks the loader must not take the other models down
        log_event(_log, logging.ERROR, "unexpected error while loading", trace=True, path=str(entry.path))
        return _failed(entry, f"It could not be loaded: {type(error).__name__}.")


def _failed(entry: Entry, reason: str) -> Attempt:
    """What came of files that cannot be loaded. If they are others by now, the next look has to try those."""
    return Attempt(replace(entry, files=()) if entry.has_changed() else entry, reason=reason)


def _loaded(entry: Entry, loader: Loader, memory: ModelMemory) -> Loaded:
    taken = memory.take(entry.size + bank_bytes(entry.path))
    try:
        explainer = loader(entry.path)
        if entry.has_changed():
            explainer.close()
            raise InvalidGraphError(f"{entry.path} changed while it was loaded. It is loaded when it is complete.")
        taken += _runs_of(explainer, memory)
    except BaseException:  # whatever ends it, the memory is free again
        memory.give_back(taken)
        raise
    trim()  # loading takes more than what is loaded
    return Loaded(explainer, partial(memory.give_back, taken))


def _runs_of(explainer: AnyExplainer, memory: ModelMemory) -> int:
    """Counts the ordinary runs of a model."""
    try:
        return memory.take_runs(explainer.run_memory)
    except CamgraphError:
        explainer.close()
        raise
