"""What `camgraph doctor` says of a server on this machine, with the functions by which the server itself decides."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path

from camgraph_core.models import ModelInfo
from camgraph_server.assembly import Assembly
from camgraph_server.config import ServerConfig
from camgraph_server.models.batching import worker_count
from camgraph_server.models.loading import memory_parts, model_memory
from camgraph_server.models.model import Model

_HARD_END = 1.0  # seconds; no call has given it work


@dataclass(frozen=True)
class Examination:
    """A server with default settings.

    Attributes:
        workers: Requests that it works on at the same time.
        memory: Bytes that it may take, by what they are for.
        models: What became of each model when it was loaded; None where no repository was named.
        runs: Bytes of an ordinary run of each model that is ready and was measured, in the order of the models; None
            for others.
        left_for_runs: Bytes that all models leave for larger runs; None where no repository was named.
    """

    workers: int
    memory: dict[str, int]
    models: list[ModelInfo] | None = None
    runs: list[int | None] | None = None
    left_for_runs: int | None = None


def examine(repository: Path | None) -> Examination:
    """Finds out what a server would take here, and loads the models of a repository as it would.

    Raises:
        CamgraphError: The repository cannot be read.
    """
    config = ServerConfig(repository or Path())
    memory = memory_parts(config) | {"models": model_memory(config)}
    alone = Examination(worker_count(config), memory)
    return alone if repository is None else _with_models(alone, config)


def _with_models(alone: Examination, config: ServerConfig) -> Examination:
    logging.getLogger("camgraph").addHandler(logging.NullHandler())  # the table says what the log would
    parts = Assembly(config)
    try:
        parts.repository.load()
        models = parts.repository.models
        return replace(
            alone,
            models=[model.info for model in models],
            runs=[_run_of(model) for model in models],
            left_for_runs=parts.budgets["runs"].size,
        )
    finally:
        parts.stop_loading()
        parts.close(_HARD_END)


def _run_of(model: Model) -> int | None:
    memory = None if model.explainer is None else model.explainer.run_memory
    return None if memory is None else memory.kept
