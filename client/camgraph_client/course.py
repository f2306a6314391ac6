"""The course of many images over a stream: what was asked, what is under way, what came of each. Nothing waits here."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from camgraph.v1 import explanation_pb2 as pb
from camgraph_client.channel import Connection
from camgraph_client.sending import encoded, result_of
from camgraph_core.errors import CamgraphError, InvalidInputError, RemoteError, TooLargeError, UnavailableError
from camgraph_core.explains import Explains
from camgraph_core.painter import ImageSource
from camgraph_core.request import Addressed, Request
from camgraph_core.types import AnyArray
from camgraph_wire.items import MAX_ITEM_KEY, error_of, item_message

if TYPE_CHECKING:
    from camgraph_core.result import Result

AHEAD = 32
"""Images that are read before the answer to the first of them has come."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 2.0  # seconds before a stream is opened again
_MIB = 1024 * 1024


@dataclass(frozen=True)
class Outcome:
    """What became of one of many images.

    Attributes:
        index: Which one, from 0.
        error: Why it has no result; None if it has one.
    """

    index: int
    error: CamgraphError | None = None
    _result: Result | None = None

    @property
    def result(self) -> Result:
        """The result.

        Raises:
            CamgraphError: There is none; it is `error`.
        """
        if self.error is not None:
            raise self.error
        assert self._result is not None
        return self._result


@dataclass
class Asked:
    """One image on its way; one that cannot be sent has an error from the beginning."""

    index: int
    addressed: Addressed | None = None
    message: pb.ExplainStreamRequest | None = None
    error: CamgraphError | None = None


class Asking(Explains[Addressed]):
    """Makes of an image, and the keywords of `Explains.explain`, what is sent."""

    def __init__(self, model: str, version: str, options: Mapping[str, Any], timeout: float) -> None:
        self._model, self._version, self._options, self._timeout = model, version, options, timeout

    def asked(self, index: int, image: ImageSource) -> Asked:
        """What is sent for an image; it reads files and encodes pixels.

        Raises:
            CamgraphError: The keywords cannot be used, for any image.
        """
        try:
            addressed = self.explain(image, **self._options)
            return Asked(index, addressed, item_message(str(index), addressed, self._timeout))
        except InvalidInputError as error:
            return Asked(index, error=error)

    def _explain(self, image: ImageSource | None, tensor: AnyArray | None, request: Request) -> Addressed:
        data = None if image is None else encoded(image)
        return Addressed(request=request, image=data, tensor=tensor, model=self._model, version=self._version)


class Course:
    """Which images are under way. Those that were sent and not answered are kept, to be sent again on a new stream.

    Args:
        connection: How often a stream that breaks is opened again without an answer in between.
        ahead: Images under way, at most.

    Attributes:
        first: Index of the first image without an outcome.
        has_ended: Whether no further image comes.
        failure: What the iterable of images raised.
    """

    def __init__(self, connection: Connection, ahead: int) -> None:
        self.first = 0
        self.has_ended = False
        self.failure: BaseException | None = None
        self._address, self._attempts, self._ahead = connection.address, connection.attempts, ahead
        self._open: deque[Asked] = deque()
        self._breaks = 0

    @property
    def is_full(self) -> bool:
        """Whether no further image should be read now."""
        return len(self._open) >= self._ahead

    @property
    def is_over(self) -> bool:
        """Whether every image has an outcome."""
        return self.has_ended and not self._open

    @property
    def has_work(self) -> bool:
        """Whether an image is under way."""
        return bool(self._open)

    def add(self, asked: Asked) -> None:
        """A further image."""
        self._open.append(asked)

    def end(self, failure: BaseException | None = None) -> None:
        """There is no further image."""
        self.has_ended, self.failure = True, failure

    def following(self, index: int) -> Asked | None:
        """The first image from this index on that has no outcome yet; None if it has not been read."""
        place = max(0, index - self.first)
        return self._open[place] if place < len(self._open) else None

    def failed(self) -> list[Outcome]:
        """The outcomes of images that cannot be sent, up to the first that waits for an answer."""
        outcomes = []
        while self._open and self._open[0].error is not None:
            asked = self._open.popleft()
            outcomes.append(Outcome(asked.index, asked.error))
            self.first += 1
        return outcomes

    def answered(self, response: pb.ExplainStreamResponse) -> list[Outcome]:
        """The outcome that an answer brings, and those of images beside it that cannot be sent.

        Raises:
            RemoteError: The answer is not that of the first image under way.
        """
        if response.WhichOneof("outcome") is None:  # it opens the stream
            return []
        before = self.failed()
        asked = self._open[0] if self._open else None
        if asked is None or asked.addressed is None or response.id not in (str(asked.index), ""):
            raise RemoteError(f"{self._address} sent an answer to {response.id[:40]!r}, which was not asked next.")
        self._open.popleft()
        self.first += 1
        self._breaks = 0
        if response.WhichOneof("outcome") == "response":
            outcome = Outcome(asked.index, None, result_of(response.response, asked.addressed))
        else:
            outcome = Outcome(asked.index, error_of(response.error))
        return [*before, outcome, *self.failed()]

    def pause_after(self, error: CamgraphError) -> float:
        """Seconds after which a stream that broke is opened again.

        Raises:
            CamgraphError: It is not worth it, or was tried too often.
        """
        self._breaks += 1
        if not isinstance(error, UnavailableError) or self._breaks >= self._attempts:
            raise error
        return error.retry_after or min(_FIRST_PAUSE * 2 ** (self._breaks - 1), _LONGEST_PAUSE)

    def check_ended(self) -> None:
        """A stream has ended well.

        Raises:
            RemoteError: Images that can be sent have no answer.
        """
        asked = self.following(self.first)
        if asked is not None and asked.error is None:
            raise RemoteError(f"{self._address} ended the stream before it answered everything.")


def sendable(asked: Asked, headers: Any) -> pb.ExplainStreamRequest | None:
    """The message to send for an image; None if there is none, or if it is larger than the server's headers allow."""
    most = next((int(value) for key, value in headers or () if key == MAX_ITEM_KEY), None)
    if asked.message is not None and most is not None and asked.message.ByteSize() > most:
        asked.error = TooLargeError(
            f"The request takes {asked.message.ByteSize() / _MIB:.1f} MiB, more than the {most / _MIB:.1f} MiB that "
            "the server takes; send a smaller image."
        )
        asked.message = None
    return asked.message
