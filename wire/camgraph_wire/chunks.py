"""An answer in pieces, of which none is larger than `CHUNK`: cut at one end, put together at the other."""

from __future__ import annotations

from collections.abc import Iterator

from camgraph.v1 import explanation_pb2 as pb
from camgraph_core.clips import AnyResult
from camgraph_core.errors import RemoteError
from camgraph_core.request import Request
from camgraph_wire.results import Data, Place, response_message

CHUNK = 1024 * 1024
"""Bytes of data in one piece."""


def pieces_of(result: AnyResult, request: Request) -> Iterator[pb.ExplainChunkedResponse]:
    """The pieces of an answer, made one by one. What was sent of an output is let go with its last piece.

    Raises:
        AbsentOutputError: The result lacks an output that the request asks for.
    """
    apart: dict[Place, Data] = {}
    yield pb.ExplainChunkedResponse(head=response_message(result, request, apart))
    del result
    for explanation, output in list(apart):
        data = memoryview(apart.pop((explanation, output)))
        for start in range(0, len(data), CHUNK):
            part = data[start : start + CHUNK].tobytes()
            piece = pb.OutputPiece(explanation=explanation, output=output, size=len(data), data=part)
            yield pb.ExplainChunkedResponse(output=piece)


class Assembled:
    """An answer that is put together from its pieces; each byte is copied once.

    Attributes:
        head: The response without the data of its outputs.
        apart: The data, by their place in it.
    """

    def __init__(self) -> None:
        self.head: pb.ExplainResponse | None = None
        self.apart: dict[Place, bytearray] = {}
        self._filled = 0  # of the output that came last

    def add(self, message: pb.ExplainChunkedResponse) -> None:
        """Takes the next piece.

        Raises:
            RemoteError: It does not follow the one before.
        """
        if message.WhichOneof("piece") == "head":
            self.head = message.head
            return
        piece = message.output
        place, data = (piece.explanation, piece.output), piece.data
        if place not in self.apart:
            self._check_filled()
            self.apart[place], self._filled = bytearray(piece.size), 0
        if self._filled + len(data) > len(self.apart[place]):
            raise RemoteError("The answer has more bytes of an output than it said.")
        self.apart[place][self._filled : self._filled + len(data)] = data
        self._filled += len(data)

    def finished(self) -> pb.ExplainResponse:
        """The response without its data, once all pieces have come.

        Raises:
            RemoteError: Some are missing.
        """
        self._check_filled()
        if self.head is None:
            raise RemoteError("The answer ended before it began.")
        return self.head

    def _check_filled(self) -> None:
        if self.apart and self._filled < len(next(reversed(self.apart.values()))):
            raise RemoteError("The answer ended in the middle of an output.")
