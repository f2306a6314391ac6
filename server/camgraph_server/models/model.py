"""One version of one model, and what it can be asked now."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from camgraph_core.errors import NotReadyError, UnavailableError
from camgraph_core.models import ModelInfo
from camgraph_runtime.explainers import AnyExplainer
from camgraph_server.models.discovery import Entry
from camgraph_server.models.loaded import Loaded


class ModelState(enum.Enum):
    """What a model can be asked now."""

    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"
    UNLOADED = "unloaded"


@dataclass(frozen=True)
class Model:
    """One version of one model at one moment. It never changes: what becomes of it is another `Model`.

    Attributes:
        entry: Its files, as they were when they were last loaded, or tried.
        state: What it can be asked.
        reason: Why it is not ready; or, of a ready one, why its changed files are not served.
        loaded: Its explainer, if it is ready.
    """

    entry: Entry
    state: ModelState = ModelState.LOADING
    reason: str = ""
    loaded: Loaded | None = None

    @property
    def name(self) -> str:
        """Its name."""
        return self.entry.name

    @property
    def version(self) -> str:
        """Its version, a decimal number as text."""
        return self.entry.version

    @property
    def explainer(self) -> AnyExplainer | None:
        """Its explainer, to read from what it says of itself; to run it, see `lent`."""
        return self.loaded.explainer if self.loaded is not None else None

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
            has_bank=explainer is not None and explainer.bank is not None,
        )

    def check_ready(self) -> None:
        """Refuses what a model that is not loaded cannot be asked.

        Raises:
            UnavailableError: It is still being loaded.
            NotReadyError: It could not be loaded, or was unloaded.
        """
        if self.state is ModelState.LOADING:
            raise UnavailableError(f"Model {self.name!r} is still being loaded; send the request again.")
        if self.loaded is None:
            raise NotReadyError(f"Model {self.name!r} version {self.version!r} is not ready: {self.reason}")

    @contextmanager
    def lent(self) -> Iterator[AnyExplainer]:
        """Its explainer, which stays open as long as it is lent.

        Raises:
            UnavailableError: It is still being loaded, or was replaced or unloaded before anybody used it.
            NotReadyError: It could not be loaded, or was unloaded.
        """
        self.check_ready()
        assert self.loaded is not None
        if not self.loaded.enter():
            raise UnavailableError(f"Model {self.name!r} has just been replaced; send the request again.")
        try:
            yield self.loaded.explainer
        finally:
            self.loaded.leave()
