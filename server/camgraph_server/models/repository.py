"""The models of a directory: found, loaded, looked up."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from camgraph_core.errors import CamgraphError, DeviceError, InvalidInputError, NotFoundError
from camgraph_core.names import closest_names
from camgraph_runtime import Explainer
from camgraph_server.models.discovery import MODEL_FILE, discover
from camgraph_server.models.model import Model, ModelState
from camgraph_server.observe.log import log_event

_log = logging.getLogger("camgraph.repository")

Loader = Callable[[Path], Explainer]


class ModelRepository:
    """The models of a directory. `load` and `close` block: call them off the event loop."""

    def __init__(self, directory: Path, loader: Loader) -> None:
        """Looks through the directory; nothing is loaded yet.

        Args:
            directory: the repository.
            loader: makes an explainer of an explainable graph's file.

        Raises:
            RepositoryError: the directory does not exist or cannot be read.
        """
        self._loader = loader
        self._is_stopping = False
        self._directory = directory
        self._models = discover(directory)

    @property
    def models(self) -> list[Model]:
        """All models, sorted by name, then version."""
        return list(self._models)

    def load(self) -> None:
        """Loads every model and logs what became of each; one that fails does not stop the others.

        Raises:
            DeviceError: the device is not available, for any model.
        """
        if not self._models:
            log_event(_log, logging.WARNING, "there is no model", path=str(self._directory))
        for model in self._models:
            if self._is_stopping:
                return
            if model.state is ModelState.LOADING:
                self._load(model)
            _log_state(model)

    def stop_loading(self) -> None:
        """Loads no further model; the one that is being loaded cannot be interrupted."""
        self._is_stopping = True

    def find(self, name: str, version: str = "") -> Model:
        """The model of that name; without a version the newest that is ready, or else the newest.

        Raises:
            InvalidInputError: no name was given, and there is more than one model.
            NotFoundError: no such model, or no such version of it.
        """
        if not self._models:
            raise NotFoundError(
                f"This server has no model. Put NAME.onnx or NAME/VERSION/{MODEL_FILE} into its repository, and start "
                "it again."
            )
        versions = [model for model in self._models if model.name == (name or self._only_name())]
        if not versions:
            raise NotFoundError(f"There is no model {name!r} here; the server has {self._names_like(name)}.")
        if version:
            versions = [model for model in versions if model.version == version]
            if not versions:
                raise NotFoundError(f"Model {name!r} has no version {version!r}.")
        ready = [model for model in versions if model.state is ModelState.READY]
        return (ready or versions)[-1]

    def close(self) -> None:
        """Closes every engine."""
        for model in self._models:
            if model.explainer is not None:
                model.explainer.close()

    def _load(self, model: Model) -> None:
        try:
            model.explainer = self._loader(model.path)
        except DeviceError:
            raise
        except CamgraphError as error:
            model.fail(str(error))
        except Exception as error:  # a file that breaks the loader must not take the other models down
            log_event(_log, logging.ERROR, "unexpected error while loading", trace=True, path=str(model.path))
            model.fail(f"It could not be loaded: {type(error).__name__}.")
        else:
            model.state = ModelState.READY

    def _only_name(self) -> str:
        names = {model.name for model in self._models}
        if len(names) > 1:
            raise InvalidInputError(f"Name a model: the server has {self._names_like('')}.")
        return names.pop()

    def _names_like(self, name: str) -> str:
        names = sorted({model.name for model in self._models})
        shown = closest_names(name, names, count=5, cutoff=0.4) or names[:5]
        return ", ".join(map(repr, shown)) + (" and others" if len(shown) < len(names) else "")


def _log_state(model: Model) -> None:
    level = logging.INFO if model.state is ModelState.READY else logging.ERROR
    log_event(
        _log,
        level,
        f"model {model.state.value}",
        model=model.name,
        version=model.version,
        reason=model.reason or None,
    )
