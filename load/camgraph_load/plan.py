"""What a load test is told: each setting declared once, and the requests and schedules that follow from them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal

from camgraph_client.channel import Connection
from camgraph_core.errors import InvalidInputError, UsageError
from camgraph_core.outputs import DEFAULT_OUTPUTS, OUTPUTS
from camgraph_core.redaction import without_credentials
from camgraph_core.request import Addressed, Request
from camgraph_core.settings import Setting, check_settings
from camgraph_core.style import Style
from camgraph_core.target import Target
from camgraph_load.arrivals import Arrivals, due_times
from camgraph_load.mix import Call, Mix, fingerprint
from camgraph_load.sending import Task
from camgraph_wire.requests import request_message
from camgraph_wire.results import response_message


def rates(text: str) -> tuple[float, ...]:
    """Calls per second as written on a command line: ``40``, or the steps of a ramp, ``10,20,40``.

    Raises:
        UsageError: These are not rising numbers above 0.

    """
    try:
        numbers = tuple(map(float, text.split(",")))
    except ValueError:
        raise UsageError(f"{text!r} is not a rate. Give calls per second, or several with commas between.") from None
    if min(numbers) <= 0 or any(later <= earlier for earlier, later in pairwise(numbers)):
        raise UsageError(f"The rates {text} do not rise, or are not above 0.")
    return numbers


@dataclass(frozen=True)
class LoadPlan:
    """What is sent, how, and how long.

    Raises:
        UsageError: a value is out of range, or two values do not fit together.

    """

    rate: Annotated[
        tuple[float, ...] | None,
        Setting(
            "Open loop: calls per second, sent whatever becomes of earlier ones. Several are the steps of a ramp.",
            read=rates,
            metavar="NUMBER[,NUMBER ...]",
        ),
    ] = None
    callers: Annotated[
        int | None,
        Setting("Closed loop: callers that each wait for an answer. With --rate: most calls in flight.", at_least=1),
    ] = None
    arrivals: Annotated[Arrivals, Setting("Distances of the calls of an open loop.")] = "poisson"
    duration: Annotated[float, Setting("Seconds of a run, or of each step of a ramp.", above=0)] = 10.0
    warm_up: Annotated[float, Setting("Seconds of calls before the run that are not counted.", at_least=0)] = 2.0
    processes: Annotated[int, Setting("Processes that send.", at_least=1, at_most=256)] = 1
    connections: Annotated[int, Setting("Connections of each process.", at_least=1, at_most=1000)] = 4
    stream: Annotated[bool, Setting("Send the calls of each connection on one stream, ExplainStream.")] = False
    retries: Annotated[bool, Setting("Send a call again where the server is UNAVAILABLE, as clients do.")] = False
    unchecked: Annotated[bool, Setting("Do not read answers. The client is faster then.")] = False
    model: Annotated[
        tuple[str, ...], Setting("Model to ask. Repeat it for a mix.", repeated=True, option="--model")
    ] = ()
    target: Annotated[
        tuple[str, ...],
        Setting("Class to explain: index, label, or -R for rank R. Repeat for several per call.", repeated=True),
    ] = ()
    top_k: Annotated[int, Setting("Also explain the K best classes.", at_least=0)] = 0
    method: Annotated[str | None, Setting("CAM method. The default is the model's.")] = None
    outputs: Annotated[
        tuple[str, ...],
        Setting("What to ask for, for each target. Repeat it for several.", repeated=True, option="--output-kind"),
    ] = ()
    max_side: Annotated[int | None, Setting("Longest side of pictures in pixels.", at_least=1)] = None
    graph: Annotated[
        Path | None,
        Setting(
            "The graph that is served. Every answer must be equal to what it gives in this process, to the bit.",
            path="file",
        ),
    ] = None
    seed: Annotated[int, Setting("Seed of arrivals and of the order of calls.", at_least=0)] = 0
    metrics_url: Annotated[
        str | None,
        Setting(
            "Where the server tells its metrics, http://HOST:PORT/metrics: its CPU and memory go into the report.",
            metavar="URL",
        ),
    ] = None
    most_latency: Annotated[
        float | None,
        Setting("Largest p99 in milliseconds with which a server keeps up, for the knee of a ramp.", above=0),
    ] = None

    def __post_init__(self) -> None:
        check_settings(self)
        if self.rate is None and self.callers is None:
            raise UsageError("Give --rate for an open loop, or --callers for a closed one.")
        if self.stream and self.retries:
            raise UsageError("--retries does not go with --stream: there a server itself tries again.")
        if self.metrics_url is not None and not self.metrics_url.startswith(("http://", "https://")):
            url = without_credentials(self.metrics_url)
            raise UsageError(f"The metrics need a URL such as http://localhost:9464/metrics, not {url}.")

    @property
    def loop(self) -> Literal["open", "closed"]:
        """Which kind of test it is."""
        return "closed" if self.rate is None else "open"

    def mix(self, images: Sequence[Path]) -> Mix:
        """The calls: each image with each model.

        Raises:
            InvalidInputError: An image cannot be read.
            UsageError: A target or an output cannot be named so.
        InvalidGraphError: The graph of `graph` cannot be used.

        """
        request = self._request()
        expected = [None] * len(images) if self.graph is None else _expected(self.graph, images, request)
        calls = [
            self._call(path, model, request, bits)
            for path, bits in zip(images, expected, strict=True)
            for model in self.model or ("",)
        ]
        return Mix(tuple(calls), self.seed)

    def _request(self) -> Request:
        return Request(
            targets=[Target.parse(text) for text in self.target],
            top_k=self.top_k,
            method=self.method,
            outputs=self.outputs,
            style=Style(max_side=self.max_side),
        )

    def _call(self, path: Path, model: str, request: Request, expected: tuple[bytes, ...] | None) -> Call:
        try:
            image = path.read_bytes()
        except OSError as error:
            raise InvalidInputError(f"{path} cannot be read: {error.strerror}.") from error
        message = request_message(Addressed(request=request, image=image, model=model))
        name = f"{path.name}, {model}" if model else path.name
        return Call(
            name, message.SerializeToString(), len(self.target) + self.top_k or 1, _outputs_of(request), expected
        )

    def steps(self, mix: Mix, connection: Connection) -> Iterator[tuple[str, Task]]:
        """Each run in words, with its task."""
        streams = ", streams" if self.stream else ""
        if self.rate is None:
            assert self.callers is not None, "checked above"
            yield f"closed loop, {self.callers} callers{streams}", self._task(mix, connection, None, self.callers)
            return
        for rate in self.rate:
            most = self.callers or max(64, int(rate * connection.timeout))
            yield f"open loop, {rate:g} calls/s{streams}", self._task(mix, connection, rate, most)

    def warm_up_task(self, task: Task) -> Task | None:
        """The calls before a run: one caller per connection."""
        if not self.warm_up:
            return None
        callers = self.processes * self.connections
        return replace(task, duration=self.warm_up, due=None, callers=callers, checks=False)

    def _task(self, mix: Mix, connection: Connection, rate: float | None, callers: int) -> Task:
        due = None if rate is None else due_times(self.arrivals, rate, self.duration, self.seed)
        checks = not self.unchecked
        return Task(connection, self.connections, mix, 0, self.duration, due, callers, checks, self.stream)


def _outputs_of(request: Request) -> int | None:
    """How many outputs each explanation has; None where that depends on the number of layers."""
    names = set(request.outputs or DEFAULT_OUTPUTS)
    return None if any(OUTPUTS[name].per_layer for name in names) else len(names)


def _expected(graph: Path, images: Sequence[Path], request: Request) -> list[tuple[bytes, ...]]:
    """The outputs for each image, as this process computes them."""
    from camgraph_runtime import Explainer  # noqa: PLC0415 - onnxruntime, only where it was asked for

    with Explainer(graph) as explainer:
        results = [
            explainer.explain(
                path,
                targets=request.targets,
                top_k=request.top_k,
                method=request.method,
                outputs=request.outputs,
                max_side=request.style.max_side,
            )
            for path in images
        ]
        return [fingerprint(response_message(result, request)) for result in results]
