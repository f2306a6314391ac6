"""What a server is told at its start: values only, checked once. The options of `camgraph serve` are made of it.

Each file has the settings of one subject. A part of the server takes the class of its subject, or the whole.
"""

from __future__ import annotations

from dataclasses import dataclass

from camgraph_core.errors import UsageError
from camgraph_core.settings import check_settings
from camgraph_server.config.batching import BatchSettings
from camgraph_server.config.limits import LimitSettings
from camgraph_server.config.models import ModelSettings
from camgraph_server.config.network import NetworkSettings
from camgraph_server.config.observation import ObservationSettings
from camgraph_server.config.security import SecuritySettings
from camgraph_server.config.work import WorkSettings


@dataclass(frozen=True, kw_only=True)
class ServerConfig(
    ModelSettings, NetworkSettings, WorkSettings, BatchSettings, LimitSettings, SecuritySettings, ObservationSettings
):
    """Settings of one server process. Each says in its declaration what it is.

    Raises:
        UsageError: A value is out of range, or two values do not fit together.

    """

    def __post_init__(self) -> None:
        check_settings(
            self,
            self.check_models,
            self.check_network,
            self.check_security,
            self.check_observation,
            self.check_batching,
            self._check_socket,
        )

    def _check_socket(self) -> None:
        if self.processes > 1 and self.listen.startswith("unix:"):
            raise UsageError(
                f"Several processes share a port, not a socket such as {self.listen}; give --listen HOST:PORT, or "
                "--processes 1."
            )
