"""One version of one model, and what it can be asked now."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from pathlib import Path

from camgraph_core.errors import NotReadyError, UnavailableError
from camgraph_core.models import ModelInfo
from camgraph_runtime import Explainer


class ModelState(enum.Enum):
    """What a model can be asked now."""

    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"


@dataclass
class Model:
    """One version of one model."""

    name: str
    version: str
    path: Path
    state: ModelState = ModelState.LOADING
    reason: str = ""
    explainer: Explainer | None = None

    @property
    def info(self) -> ModelInfo:
        """What is said of it."""
        explainer = self.explainer
        return ModelInfo(
            name=self.name,
            version=self.version,
            state=self.state.value,
            reason=self.reason,
            num_classes=explainer.num_classes if explainer is not None else 0,
            layers=tuple(explainer.layers) if explainer is not None else (),
            execution_provider=explainer.engine.execution_provider if explainer is not None else "",
        )

    def ready_explainer(self) -> Explainer:
        """The explainer.

        Raises:
            UnavailableError: the model is still being loaded.
            NotReadyError: it could not be loaded.
        """
        if self.state is ModelState.FAILED:
            raise NotReadyError(f"Model {self.name!r} version {self.version!r} is not ready: {self.reason}")
        if self.explainer is None:
            raise UnavailableError(f"Model {self.name!r} is still being loaded; send the request again.")
        return self.explainer

    def fail(self, reason: str) -> None:
        """Marks the model as failed."""
        self.state, self.reason = ModelState.FAILED, reason
