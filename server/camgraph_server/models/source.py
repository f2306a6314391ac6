"""Where the models of a repository come from: a folder of this machine, or a copy of one elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from camgraph_server.config import ServerConfig
from camgraph_server.config.limits import MIB
from camgraph_server.config.models import is_url
from camgraph_server.models.remote import RemoteFolder


class Source(Protocol):
    """A folder with models.

    Attributes:
        folder: Where they are on this machine.
    """

    folder: Path

    def fetch(self) -> None:
        """Makes the folder what its origin is now. It blocks.

        Raises:
            RepositoryError: The origin cannot be read; what is in the folder stays.
        """

    def close(self) -> None:
        """Gives back what was taken for it."""


class LocalFolder:
    """A folder of this machine, which is its own origin.

    Args:
        folder: Where it is.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fetch(self) -> None:
        """There is nothing to do."""

    def close(self) -> None:
        """There is nothing to do."""


def source_of(config: ServerConfig) -> Source:
    """The source that the settings name.

    Raises:
        UsageError: It is a URL that cannot be used here.
        RepositoryError: There is no place for a copy.
    """
    named = str(config.model_repository)
    if is_url(named):
        return RemoteFolder(named, config.model_cache, config.max_download_mib * MIB)
    return LocalFolder(Path(named))
