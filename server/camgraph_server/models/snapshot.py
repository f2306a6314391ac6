"""The models of a server at one moment."""

from __future__ import annotations

from collections.abc import Iterable

from camgraph_core.errors import InvalidInputError, NotFoundError
from camgraph_core.names import closest_names
from camgraph_server.models.discovery import MODEL_FILE, Key
from camgraph_server.models.model import Model, ModelState


class Snapshot:
    """Models at one moment. It never changes, so any thread may look into it.

    Args:
        models: The models, in any order.

    Attributes:
        models: The models, sorted by name, then version.
    """

    def __init__(self, models: Iterable[Model]) -> None:
        self.models = tuple(sorted(models, key=lambda model: model.entry.order))
        self._by_key = {model.entry.key: model for model in self.models}
        self._by_name: dict[str, list[Model]] = {}
        for model in self.models:
            self._by_name.setdefault(model.name, []).append(model)

    def get(self, key: Key) -> Model | None:
        """The model of a name and version."""
        return self._by_key.get(key)

    def versions(self, name: str) -> list[Model]:
        """The versions of a model, oldest first.

        Raises:
            NotFoundError: There is none.
        """
        if not self.models:
            raise NotFoundError(
                f"This server has no model. Put NAME.onnx or NAME/VERSION/{MODEL_FILE} into its repository."
            )
        versions = self._by_name.get(name)
        if versions is None:
            raise NotFoundError(f"There is no model {name!r} here; the server has {self._names_like(name)}.")
        return versions

    def find(self, name: str, version: str = "") -> Model:
        """The model of that name; without a version the newest that is ready, or else the newest.

        Raises:
            InvalidInputError: No name was given, and there is more than one model.
            NotFoundError: There is no such model, or no such version of it.
        """
        versions = self.versions(name or self._only_name())
        if version:
            return self._version(versions, version)
        ready = [model for model in versions if model.state is ModelState.READY]
        return (ready or versions)[-1]

    def replaced(self, model: Model) -> Snapshot:
        """These models with one in the place of the one of its name and version."""
        return Snapshot({**self._by_key, model.entry.key: model}.values())

    def without(self, key: Key) -> Snapshot:
        """These models without one."""
        return Snapshot(model for model in self.models if model.entry.key != key)

    @staticmethod
    def _version(versions: Iterable[Model], version: str) -> Model:
        for model in versions:
            if model.version == version:
                return model
        raise NotFoundError(f"Model {model.name!r} has no version {version!r}.")

    def _only_name(self) -> str:
        if len(self._by_name) > 1:
            raise InvalidInputError(f"Name a model: the server has {self._names_like('')}.")
        return next(iter(self._by_name), "")

    def _names_like(self, name: str) -> str:
        names = sorted(self._by_name)
        shown = closest_names(name, names, count=5, cutoff=0.4) or names[:5]
        return ", ".join(map(repr, shown)) + (" and others" if len(shown) < len(names) else "")
