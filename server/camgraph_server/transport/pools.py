"""Several descriptor pools as one, for reflection: a protocol may have a pool of its own."""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pool


def default_and(*pools: Any) -> Any:
    """What reflection asks of a pool, answered by the default one, or else by one of these."""
    return _Pools(descriptor_pool.Default(), *pools)


class _Pools:
    """Asks pools one after the other, by the methods of a pool that reflection uses."""

    def __init__(self, *pools: Any) -> None:
        self._pools = pools

    def FindFileByName(self, name: str) -> Any:  # noqa: N802 - protobuf's name
        return self._first("FindFileByName", name)

    def FindFileContainingSymbol(self, name: str) -> Any:  # noqa: N802 - protobuf's name
        return self._first("FindFileContainingSymbol", name)

    def FindMessageTypeByName(self, name: str) -> Any:  # noqa: N802 - protobuf's name
        return self._first("FindMessageTypeByName", name)

    def FindExtensionByNumber(self, message: Any, number: int) -> Any:  # noqa: N802 - protobuf's name
        return self._first("FindExtensionByNumber", message, number)

    def FindAllExtensions(self, message: Any) -> Any:  # noqa: N802 - protobuf's name
        return message.file.pool.FindAllExtensions(message)

    def _first(self, method: str, *arguments: Any) -> Any:
        """The first answer.

        Raises:
            KeyError: No pool has what is asked for.
        """
        for pool in self._pools[:-1]:
            try:
                return getattr(pool, method)(*arguments)
            except KeyError:
                continue
        return getattr(self._pools[-1], method)(*arguments)
