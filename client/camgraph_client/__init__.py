"""Python client of a camgraph server.

The names below are imported when they are used, so that commands which need no grpc work without it.
"""

from typing import TYPE_CHECKING

from camgraph_core.lazy import lazy_names

if TYPE_CHECKING:
    from camgraph_client.aio import AsyncClient, AsyncRemoteModel
    from camgraph_client.channel import Connection, Tls
    from camgraph_client.clips import AsyncRemoteClipModel, RemoteClipModel
    from camgraph_client.course import Outcome
    from camgraph_client.credentials import Token
    from camgraph_client.sync import Client, RemoteModel
    from camgraph_core.clips import ClipExplanation, ClipResult
    from camgraph_core.errors import (
        AbsentOutputError,
        DeadlineError,
        ForbiddenError,
        OverLimitError,
        RemoteError,
        UnauthenticatedError,
        UnavailableError,
    )
    from camgraph_core.explanation import Explanation
    from camgraph_core.models import ModelInfo
    from camgraph_core.result import Result
    from camgraph_core.target import Target
    from camgraph_wire.models import ModelDetails

_MODULE_OF = {
    "AbsentOutputError": "camgraph_core.errors",
    "AsyncClient": "aio",
    "AsyncRemoteClipModel": "clips",
    "AsyncRemoteModel": "aio",
    "Client": "sync",
    "ClipExplanation": "camgraph_core.clips",
    "ClipResult": "camgraph_core.clips",
    "Connection": "channel",
    "DeadlineError": "camgraph_core.errors",
    "Explanation": "camgraph_core.explanation",
    "ForbiddenError": "camgraph_core.errors",
    "ModelDetails": "camgraph_wire.models",
    "ModelInfo": "camgraph_core.models",
    "Outcome": "course",
    "OverLimitError": "camgraph_core.errors",
    "RemoteError": "camgraph_core.errors",
    "RemoteClipModel": "clips",
    "RemoteModel": "sync",
    "Result": "camgraph_core.result",
    "Target": "camgraph_core.target",
    "Tls": "channel",
    "Token": "credentials",
    "UnauthenticatedError": "camgraph_core.errors",
    "UnavailableError": "camgraph_core.errors",
}

__all__ = [
    "AbsentOutputError",
    "AsyncClient",
    "AsyncRemoteClipModel",
    "AsyncRemoteModel",
    "Client",
    "ClipExplanation",
    "ClipResult",
    "Connection",
    "DeadlineError",
    "Explanation",
    "ForbiddenError",
    "ModelDetails",
    "ModelInfo",
    "Outcome",
    "OverLimitError",
    "RemoteClipModel",
    "RemoteError",
    "RemoteModel",
    "Result",
    "Target",
    "Tls",
    "Token",
    "UnauthenticatedError",
    "UnavailableError",
]

__getattr__, __dir__ = lazy_names(__name__, _MODULE_OF)
