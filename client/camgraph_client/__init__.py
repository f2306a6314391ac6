"""Python client of a camgraph server.

The names below are imported when they are used, so that commands which need no grpc work without it.
"""

from typing import TYPE_CHECKING

from camgraph_core.lazy import lazy_names

if TYPE_CHECKING:
    from camgraph_client.aio import AsyncClient
    from camgraph_client.channel import Connection, Tls
    from camgraph_client.errors import DeadlineError, RemoteError, UnavailableError
    from camgraph_client.results import CallTimings, ModelDetails, ModelInfo, RemoteExplanation, RemoteResult
    from camgraph_client.sync import Client

_MODULE_OF = {
    "AsyncClient": "aio",
    "CallTimings": "results",
    "Client": "sync",
    "Connection": "channel",
    "DeadlineError": "errors",
    "ModelDetails": "results",
    "ModelInfo": "results",
    "RemoteError": "errors",
    "RemoteExplanation": "results",
    "RemoteResult": "results",
    "Tls": "channel",
    "UnavailableError": "errors",
}

__all__ = [
    "AsyncClient",
    "CallTimings",
    "Client",
    "Connection",
    "DeadlineError",
    "ModelDetails",
    "ModelInfo",
    "RemoteError",
    "RemoteExplanation",
    "RemoteResult",
    "Tls",
    "UnavailableError",
]

__getattr__, __dir__ = lazy_names(__name__, _MODULE_OF)
