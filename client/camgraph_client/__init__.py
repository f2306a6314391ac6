"""Python client of a camgraph server.

The names below are imported when they are used, so that commands which need no grpc work without it.
"""

from typing import TYPE_CHECKING

from camgraph_core.lazy import lazy_names

if TYPE_CHECKING:
    from camgraph_client.aio import AsyncClient
    from camgraph_client.channel import Connection, Tls
    from camgraph_client.results import ModelDetails, RemoteExplanation, RemoteResult
    from camgraph_client.sync import Client
    from camgraph_core.errors import DeadlineError, RemoteError, UnavailableError
    from camgraph_core.models import ModelInfo
    from camgraph_core.result import Timings

_MODULE_OF = {
    "AsyncClient": "aio",
    "Client": "sync",
    "Connection": "channel",
    "DeadlineError": "camgraph_core.errors",
    "ModelDetails": "results",
    "ModelInfo": "camgraph_core.models",
    "RemoteError": "camgraph_core.errors",
    "RemoteExplanation": "results",
    "RemoteResult": "results",
    "Timings": "camgraph_core.result",
    "Tls": "channel",
    "UnavailableError": "camgraph_core.errors",
}

__all__ = [
    "AsyncClient",
    "Client",
    "Connection",
    "DeadlineError",
    "ModelDetails",
    "ModelInfo",
    "RemoteError",
    "RemoteExplanation",
    "RemoteResult",
    "Timings",
    "Tls",
    "UnavailableError",
]

__getattr__, __dir__ = lazy_names(__name__, _MODULE_OF)
