"""What the server does for who may change its models, in any protocol."""

from __future__ import annotations

from camgraph_core.models import ModelInfo, RepositoryEntry
from camgraph_server.call import Call
from camgraph_server.models.changes import Changes
from camgraph_server.models.model import Model
from camgraph_server.models.repository import ModelRepository


class ModelControl:
    """Loads and unloads models, one change after the other.

    Args:
        repository: The models.
        changes: What changes them.
    """

    def __init__(self, repository: ModelRepository, changes: Changes) -> None:
        self._repository = repository
        self._changes = changes

    async def index(self, _: None, __: Call) -> list[RepositoryEntry]:
        """All versions of all models with their files, sorted by name, then version."""
        return self._repository.index()

    async def load(self, named: tuple[str, str], call: Call) -> list[ModelInfo]:
        """Loads a model by its name and version; with an empty version all versions.

        Raises:
            NotFoundError: There is no such model or version.
            NotReadyError: It cannot be loaded.
            UnavailableError: Too many changes wait, or not every process has followed in time.
        """
        call.model, call.version = named[0] or None, named[1] or None
        return _infos(await self._changes.load(*named))

    async def unload(self, named: tuple[str, str], call: Call) -> list[ModelInfo]:
        """Unloads a model by its name and version; with an empty version all versions.

        Raises:
            NotFoundError: There is no such model or version.
            UnavailableError: Too many changes wait, or not every process has followed in time.
        """
        call.model, call.version = named[0] or None, named[1] or None
        return _infos(await self._changes.unload(*named))

    async def reload(self, _: None, __: Call) -> list[ModelInfo]:
        """Follows the repository now, and gives all models.

        Raises:
            UnavailableError: Too many changes wait, or not every process has followed in time.
        """
        await self._changes.reload()
        return _infos(self._repository.models)


def _infos(models: list[Model]) -> list[ModelInfo]:
    return [model.info for model in models]
