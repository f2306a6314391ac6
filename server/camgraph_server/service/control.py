"""What the server does for who may change its models, in any protocol."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from camgraph_core.models import ModelInfo, RepositoryEntry
from camgraph_server.call import Call
from camgraph_server.models.keeper import Keeper
from camgraph_server.models.model import Model
from camgraph_server.models.repository import ModelRepository

T = TypeVar("T")


class ModelControl:
    """Loads and unloads models, one change after the other.

    Args:
        repository: The models.
        keeper: What changes them.
    """

    def __init__(self, repository: ModelRepository, keeper: Keeper) -> None:
        self._repository = repository
        self._keeper = keeper

    async def index(self, _: None, __: Call) -> list[RepositoryEntry]:
        """All versions of all models with their files, sorted by name, then version."""
        return self._repository.index()

    async def load(self, named: tuple[str, str], call: Call) -> list[ModelInfo]:
        """Loads a model by its name and version; with an empty version all versions.

        Raises:
            NotFoundError: There is no such model or version.
            NotReadyError: It cannot be loaded.
            UnavailableError: Too many changes wait.
        """
        call.model, call.version = named[0] or None, named[1] or None
        return _infos(await self._kept(partial(self._repository.load_model, *named)))

    async def unload(self, named: tuple[str, str], call: Call) -> list[ModelInfo]:
        """Unloads a model by its name and version; with an empty version all versions.

        Raises:
            NotFoundError: There is no such model or version.
            UnavailableError: Too many changes wait.
        """
        call.model, call.version = named[0] or None, named[1] or None
        return _infos(await self._kept(partial(self._repository.unload_model, *named)))

    async def reload(self, _: None, __: Call) -> list[ModelInfo]:
        """Follows the repository now, and gives all models.

        Raises:
            UnavailableError: Too many changes wait.
        """
        await self._kept(self._repository.reload)
        return _infos(self._repository.models)

    async def _kept(self, work: Callable[[], T]) -> T:
        """Has the keeper do something. It goes on although its caller does not wait for it."""
        return await asyncio.shield(asyncio.wrap_future(self._keeper.ask(work)))


def _infos(models: list[Model]) -> list[ModelInfo]:
    return [model.info for model in models]
