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
    """An answer that is put together from its pieces. It takes memory for what has come, not for what is announced.

    Attributes:
        head: The response without the data of its outputs.
        apart: The data, by their place in it.
    """

    def __init__(self) -> None:
        self.head: pb.ExplainResponse | None = None
        self.apart: dict[Place, bytearray] = {}
        self._size = 0  # of the output that came last, when it is whole

    def add(self, message: pb.ExplainChunkedResponse) -> None:
        """Takes the next piece.

        Raises:
            RemoteError: It does not follow the one before, or is of an output that the answer does not have.
        """
        kind = message.WhichOneof("piece")
        if kind is None:  # of a kind that only later servers know; `finished` sees whether all is there
            return
        if kind == "head":
            if self.head is not None:
                raise RemoteError("The answer began twice.")
            self.head = message.head
            return
        piece = message.output
        place, data = (piece.explanation, piece.output), piece.data
        if place not in self.apart:
            self._check_filled()
            self._check_announced(piece)
            self.apart[place], self._size = bytearray(), piece.size
        elif place != next(reversed(self.apart)):
            raise RemoteError("The answer has pieces of an output behind those of another one.")
        if len(self.apart[place]) + len(data) > self._size:
            raise RemoteError("The answer has more bytes of an output than it said.")
        self.apart[place] += data

    def finished(self) -> pb.ExplainResponse:
        """The response without its data, once all pieces have come.

        Raises:
            RemoteError: Some are missing.
        """
        self._check_filled()
        if self.head is None:
            raise RemoteError("The answer ended before it began.")
        return self.head

    def _check_announced(self, piece: pb.OutputPiece) -> None:
        if self.head is None:
            raise RemoteError("The answer has outputs before it began.")
        explanations = self.head.explanations
        if piece.explanation >= len(explanations) or piece.output >= len(explanations[piece.explanation].outputs):
            raise RemoteError("The answer has an output that it did not announce.")

    def _check_filled(self) -> None:
        if self.apart and len(next(reversed(self.apart.values()))) < self._size:
            raise RemoteError("The answer ended in the middle of an output.")
