"""What the server does for a caller, in any protocol: values of `camgraph_core` in, values out."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

from camgraph_core.clips import AnyResult
from camgraph_core.errors import ForbiddenError
from camgraph_core.models import ModelInfo
from camgraph_core.request import Addressed
from camgraph_core.result import Result
from camgraph_server.call import Call
from camgraph_server.models.explaining import Room, explain
from camgraph_server.models.model import Model
from camgraph_server.models.repository import ModelRepository
from camgraph_server.models.snapshot import Snapshot
from camgraph_server.models.tensors import TensorRequest, TensorResult, run_tensors
from camgraph_server.observe.observers import Observers
from camgraph_server.scheduling.scheduler import Scheduler

T = TypeVar("T")


class Service:
    """Explains images and clips, and describes models.

    Args:
        repository: The models.
        scheduler: Where the work is done.
        room: What requests may take.
        observers: Are told of what was explained.
        on_hang: Called when work does not end, with the model if its graph was running.
    """

    def __init__(
        self,
        repository: ModelRepository,
        scheduler: Scheduler,
        room: Room,
        observers: Observers,
        on_hang: Callable[[Model | None], None],
    ) -> None:
        self._on_hang = on_hang
        self._observers = observers
        self._repository = repository
        self._scheduler = scheduler
        self._room = room

    def admit(self, call: Call) -> None:
        """Refuses a call that could not be answered in time, before anything of it is read.

        Raises:
            UnavailableError: Too many wait, or its deadline is too near.
            OverLimitError: Too many of its client wait.
        """
        self._scheduler.check(call.deadline, call.client.name)

    async def explain(self, addressed: Addressed, call: Call) -> AnyResult:
        """Classifies one image or clip and explains the asked classes of it.

        Raises:
            CamgraphError: The model, the image, a target or an option cannot be used, or there is no time or memory.
        """
        call.request_id = addressed.request.request_id or None
        return await self._worked(explain, addressed, call, self._observers)

    async def explain_image(self, addressed: Addressed, call: Call) -> Result:
        """The same for a protocol whose requests have an image each.

        Raises:
            CamgraphError: As there, or the model explains clips.
        """
        result = await self.explain(addressed, call)
        assert isinstance(result, Result), "a model of clips refuses images"
        return result

    async def run_tensors(self, request: TensorRequest, call: Call) -> TensorResult:
        """Runs the graph of a model with a caller's own inputs.

        Raises:
            CamgraphError: The model or an input cannot be used, or there is no time or memory.
        """
        call.request_id = request.request_id or None
        return await self._worked(run_tensors, request, call)

    async def list_models(self, _: None, call: Call) -> list[ModelInfo]:
        """All models that the client may use, sorted by name, then version."""
        return [model.info for model in self._repository.models if call.client.may_use(model.name)]

    async def get_model(self, named: tuple[str, str], call: Call) -> Model:
        """The model of a name and version.

        Raises:
            ForbiddenError: The client may not use it.
            NotFoundError: There is none.
        """
        call.model = named[0] or None
        model = self._repository.find(self._name(*named, call), named[1])
        call.model, call.version = model.name, model.version
        return model

    async def _worked(
        self, work: Callable[..., T], asked: Addressed | TensorRequest, call: Call, *further: Observers
    ) -> T:
        """Does the work of a request with its model on a worker thread."""
        call.model = asked.model or None
        name = self._name(asked.model, asked.version, call)
        with self._repository.lent(name, asked.version) as model:
            call.model, call.version = model.entry.name, model.entry.version
            model.check_ready()
            call.enter("queue")
            job = partial(work, model, asked, self._room, *further, call)
            return await self._scheduler.run(job, call.deadline, partial(self._hangs, model, call), call.client.name)

    def _hangs(self, model: Model, call: Call) -> None:
        """The work on a call does not end: if that is in the graph, it is the model's fault."""
        self._on_hang(model if call.stage == "infer" else None)

    def _name(self, name: str, version: str, call: Call) -> str:
        """The name of the model that is asked for; whose use of models is limited sees no others, in errors neither."""
        client = call.client
        if client.may_use_all:
            return name
        if name:
            client.check_model(name)
        seen = Snapshot(model for model in self._repository.models if client.may_use(model.name))
        if not name and not seen.models:
            raise ForbiddenError("You may not use any model that this server has; ask its operator.")
        return seen.find(name, version).name
