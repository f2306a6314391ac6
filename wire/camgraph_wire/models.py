"""Models of a server and their messages."""

from __future__ import annotations

from dataclasses import asdict

from camgraph.v1 import explanation_pb2 as pb
from camgraph_core.models import ModelInfo
from camgraph_wire.enums import MODEL_STATES


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
    )
