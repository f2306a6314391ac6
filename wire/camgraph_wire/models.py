"""Models of a server and their messages."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import TypeAlias

from camgraph.v1 import explanation_pb2 as pb
from camgraph.v1 import model_control_pb2 as control_pb
from camgraph.v1.manifest_pb2 import Manifest
from camgraph_core.models import ModelInfo, RepositoryEntry
from camgraph_wire.enums import MODEL_STATES

ListedModels: TypeAlias = (
    pb.ListModelsResponse
    | control_pb.LoadModelResponse
    | control_pb.UnloadModelResponse
    | control_pb.ReloadRepositoryResponse
)
"""A message whose field `models` has several."""


@dataclass(frozen=True)
class ModelDetails:
    """A model with its whole manifest, which is empty unless the model is ready."""

    info: ModelInfo
    manifest: Manifest


def model_message(model: ModelInfo) -> pb.ModelInfo:
    """The message of a model."""
    return pb.ModelInfo(**{**asdict(model), "state": MODEL_STATES.value(model.state)})


def model_from(message: pb.ModelInfo) -> ModelInfo:
    """The model of a message; a state that is not known here is "unknown"."""
    return ModelInfo(
        name=message.name,
        version=message.version,
        state=MODEL_STATES.name(message.state) if message.state in pb.ModelState.values()[1:] else "unknown",
        reason=message.reason,
        num_classes=message.num_classes,
        layers=tuple(message.layers),
        execution_provider=message.execution_provider,
        has_bank=message.has_bank,
    )


def details_message(details: ModelDetails) -> pb.GetModelResponse:
    """The message of a model with its manifest."""
    return pb.GetModelResponse(model=model_message(details.info), manifest=details.manifest)


def details_from(message: pb.GetModelResponse) -> ModelDetails:
    """The model of a message, with its manifest."""
    return ModelDetails(model_from(message.model), message.manifest)


def list_message(models: Iterable[ModelInfo]) -> pb.ListModelsResponse:
    """The message of several models."""
    return pb.ListModelsResponse(models=map(model_message, models))


def list_from(message: ListedModels) -> list[ModelInfo]:
    """The models of a message that has several."""
    return [model_from(model) for model in message.models]


def index_message(entries: Iterable[RepositoryEntry]) -> control_pb.RepositoryIndexResponse:
    """The message of a repository's entries."""
    return control_pb.RepositoryIndexResponse(
        entries=(
            control_pb.RepositoryEntry(model=model_message(entry.model), path=entry.path, size_bytes=entry.size_bytes)
            for entry in entries
        )
    )


def index_from(message: control_pb.RepositoryIndexResponse) -> list[RepositoryEntry]:
    """The entries of a message."""
    return [RepositoryEntry(model_from(entry.model), entry.path, entry.size_bytes) for entry in message.entries]
