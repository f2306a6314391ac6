"""What is said of a model that a server has."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ModelInfo:
    """A model of a server's repository.

    Attributes:
        name: Its name.
        version: A decimal number as text.
        state: "ready", "loading", "failed" or "unloaded".
        reason: Why it is not ready; or, of a ready one, why its changed files are not served. Empty otherwise.
        num_classes: Number of classes; 0 unless it is ready.
        layers: Names of the layers that can be explained, default first.
        execution_provider: onnxruntime's, such as "CPUExecutionProvider".
        has_bank: It can be asked for distances to a memory bank.

    """

    name: str
    version: str
    state: str
    reason: str = ""
    num_classes: int = 0
    layers: tuple[str, ...] = ()
    execution_provider: str = ""
    has_bank: bool = False


@dataclass(frozen=True)
class RepositoryEntry:
    """One version of a model in a server's repository, and its files.

    Attributes:
        model: What is said of it.
        path: The graph's file, relative to the repository, with slashes.
        size_bytes: Size of the graph and its weights.

    """

    model: ModelInfo
    path: str
    size_bytes: int
