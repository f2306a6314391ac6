"""What `camgraph doctor` says of a server on this machine, with the functions by which the server itself decides."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from camgraph_core.models import ModelInfo
from camgraph_server.assembly import Assembly
from camgraph_server.config import ServerConfig
from camgraph_server.models.batching import worker_count
from camgraph_server.models.loading import memory_parts, model_memory

_HARD_END = 1.0  # seconds; no call has given it work


@dataclass(frozen=True)
class Examination:
    """A server with default settings.

    Attributes:
        workers: Requests that it works on at the same time.
        memory: Bytes that it may take, by what they are for.
        models: What became of each model when it was loaded; None where no repository was named.
    """

    workers: int
    memory: dict[str, int]
    models: list[ModelInfo] | None


def examine(repository: Path | None) -> Examination:
    """Finds out what a server would take here, and loads the models of a repository as it would.

    Raises:
        CamgraphError: The repository cannot be read.
    """
    config = ServerConfig(repository or Path())
    memory = memory_parts(config) | {"models": model_memory(config)}
    return Examination(worker_count(config), memory, None if repository is None else _loaded(config))


def _loaded(config: ServerConfig) -> list[ModelInfo]:
    logging.getLogger("camgraph").addHandler(logging.NullHandler())  # the table says what the log would
    parts = Assembly(config)
    try:
        parts.repository.load()
        return [model.info for model in parts.repository.models]
    finally:
        parts.stop_loading()
        parts.close(_HARD_END)
