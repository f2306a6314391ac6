"""The calls of the service, each written once for both clients."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps
from types import MethodType
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, Self, TypeVar, overload

from google.protobuf.message import Message

from camgraph.v1 import explanation_pb2 as pb
from camgraph.v1 import model_control_pb2 as control_pb
from camgraph.v1.explanation_pb2_grpc import ExplanationServiceStub
from camgraph.v1.model_control_pb2_grpc import ModelControlServiceStub
from camgraph_wire.models import details_from, index_from, list_from

P = ParamSpec("P")
V = TypeVar("V")


class Blocking(Protocol):
    """A client that waits for the answer."""

    def send(self, rpc: str, request: Message, value: Callable[[Any], V]) -> V:
        """Calls the service, and makes a value of the answer."""


class Awaiting(Protocol):
    """A client whose answers are awaited."""

    def send(self, rpc: str, request: Message, value: Callable[[Any], V]) -> Awaitable[V]:
        """Calls the service, and makes a value of the answer."""


class Call(Generic[P, V]):
    """A call as a method: of `Client` it gives the value, of `AsyncClient` it is awaited for it."""

    def __init__(self, rpc: str, request: Callable[Concatenate[Any, P], Message], value: Callable[[Any], V]) -> None:
        self._rpc, self._request, self._value = rpc, request, value
        self.__doc__ = request.__doc__

    @overload
    def __get__(self, client: None, owner: type) -> Self: ...
    @overload
    def __get__(self, client: Blocking, owner: type) -> Callable[P, V]: ...
    @overload
    def __get__(self, client: Awaiting, owner: type) -> Callable[P, Awaitable[V]]: ...
    def __get__(self, client: Any, owner: type) -> Any:
        if client is None:
            return self

        @wraps(MethodType(self._request, client))  # whose signature has no self
        def call(*arguments: P.args, **options: P.kwargs) -> Any:
            return client.send(self._rpc, self._request(client, *arguments, **options), self._value)

        return call


def call(rpc: str, value: Callable[[Any], V]) -> Callable[[Callable[Concatenate[Any, P], Message]], Call[P, V]]:
    """Makes a call of a function that gives its request.

    Args:
        rpc: Name of the call in one of the services of `Stub`.
        value: From the answer to what the caller gets.

    """
    return lambda request: Call(rpc, request, value)


class Stub(ExplanationServiceStub, ModelControlServiceStub):
    """The calls of all services by their names, of which no two are the same."""

    def __init__(self, channel: Any) -> None:
        ExplanationServiceStub.__init__(self, channel)
        ModelControlServiceStub.__init__(self, channel)


class Calls:
    """What both clients offer beside models."""

    @call("ListModels", list_from)
    def list_models(self) -> Message:
        """The models of the repository, sorted by name, then version: `ModelInfo`."""
        return pb.ListModelsRequest()

    @call("GetModel", details_from)
    def get_model(self, name: str, version: str = "") -> Message:
        """One model with its whole manifest, `ModelDetails`; without a version the newest.

        Raises:
            NotFoundError: There is no such model or version.

        """
        return pb.GetModelRequest(name=name, version=version)

    @call("RepositoryIndex", index_from)
    def repository_index(self) -> Message:
        """Every version of every model with its files, sorted by name, then version: `RepositoryEntry`.

        Raises:
            UnknownMethodError: The server runs without ``--model-control``. So it is with the calls below.

        """
        return control_pb.RepositoryIndexRequest()

    @call("LoadModel", list_from)
    def load_model(self, name: str, version: str = "") -> Message:
        """Loads a model and gives its versions, `ModelInfo`; without a version all that the repository has.

        What is loaded already stays as it is, unless its files have changed.

        Raises:
            NotFoundError: There is no such model or version.
            NotReadyError: It cannot be loaded. What was ready before keeps serving.

        """
        return control_pb.LoadModelRequest(name=name, version=version)

    @call("UnloadModel", list_from)
    def unload_model(self, name: str, version: str = "") -> Message:
        """Unloads a model until `load_model`, and gives its versions, `ModelInfo`; without a version all of them.

        Raises:
            NotFoundError: There is no such model or version.

        """
        return control_pb.UnloadModelRequest(name=name, version=version)

    @call("ReloadRepository", list_from)
    def reload_repository(self) -> Message:
        """Has the server follow all changes of its repository now, and gives all models after that: `ModelInfo`."""
        return control_pb.ReloadRepositoryRequest()
