"""What all models of a server have in common, whatever they explain: the client that they call by, and their name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from camgraph_wire.models import ModelDetails

if TYPE_CHECKING:
    from camgraph_client.aio import AsyncClient
    from camgraph_client.sync import Client


class Remote:
    """A model of a server. To close it closes the client.

    Args:
        client: Calls the server.
        name: Name of the model; empty where the server has one.
        version: Its version; empty for the newest.
        chunked: Whether answers come in pieces.

    """

    def __init__(self, client: Client, name: str, version: str, *, chunked: bool = False) -> None:
        self._client, self._name, self._version, self._chunked = client, name, version, chunked

    def details(self) -> ModelDetails:
        """The model with its whole manifest; see `Client.get_model`."""
        return self._client.get_model(self._name, self._version)

    def close(self) -> None:
        """Closes the client."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncRemote:
    """As `Remote`, by an asynchronous client."""

    def __init__(self, client: AsyncClient, name: str, version: str, *, chunked: bool = False) -> None:
        self._client, self._name, self._version, self._chunked = client, name, version, chunked

    async def details(self) -> ModelDetails:
        """The model with its whole manifest; see `AsyncClient.get_model`."""
        return await self._client.get_model(self._name, self._version)

    async def close(self) -> None:
        """Closes the client."""
        await self._client.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
