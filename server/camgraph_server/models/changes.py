"""Who carries out a change of models that a call asks for: the keeper of this process, or those of several together."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from camgraph_server.models.keeper import Keeper
from camgraph_server.models.model import Model
from camgraph_server.models.repository import ModelRepository

T = TypeVar("T")


class Changes(ABC):
    """Changes of models. Each goes on although its caller does not wait for it."""

    @abstractmethod
    async def load(self, name: str, version: str) -> list[Model]:
        """See `ModelRepository.load_model`.

        Raises:
            NotFoundError: There is no such model or version.
            NotReadyError: It cannot be loaded.
            UnavailableError: Too many changes wait, or not every process has followed in time.
        """

    @abstractmethod
    async def unload(self, name: str, version: str) -> list[Model]:
        """See `ModelRepository.unload_model`.

        Raises:
            NotFoundError: There is no such model or version.
            UnavailableError: Too many changes wait, or not every process has followed in time.
        """

    @abstractmethod
    async def reload(self) -> None:
        """See `ModelRepository.reload`.

        Raises:
            UnavailableError: Too many changes wait, or not every process has followed in time.
        """

    @abstractmethod
    async def join(self) -> None:
        """Has this process take part from now on, after its models were loaded and before anybody sees them."""

    @abstractmethod
    def leave(self) -> None:
        """Has it take part no more."""


class OwnChanges(Changes):
    """Those of one process.

    Args:
        repository: The models.
        keeper: What changes them.
    """

    def __init__(self, repository: ModelRepository, keeper: Keeper) -> None:
        self._repository = repository
        self._keeper = keeper

    async def load(self, name: str, version: str) -> list[Model]:
        """See `Changes.load`."""
        return await self._kept(partial(self._repository.load_model, name, version))

    async def unload(self, name: str, version: str) -> list[Model]:
        """See `Changes.unload`."""
        return await self._kept(partial(self._repository.unload_model, name, version))

    async def reload(self) -> None:
        """See `Changes.reload`."""
        await self._kept(self._repository.reload)

    async def join(self) -> None:
        """There are no others."""

    def leave(self) -> None:
        """There are no others."""

    async def _kept(self, work: Callable[[], T]) -> T:
        return await asyncio.shield(asyncio.wrap_future(self._keeper.ask(work)))
