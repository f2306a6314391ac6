"""Many images over a stream, for programs without an event loop."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from functools import partial
from typing import Any

import grpc

from camgraph.v1 import explanation_pb2 as pb
from camgraph_client.channel import Connection
from camgraph_client.course import Asking, Course, Outcome, sendable
from camgraph_client.errors import error_from
from camgraph_core.errors import CamgraphError
from camgraph_core.painter import ImageSource


class Many:
    """Reads images on a thread of its own, and gives the outcomes in their order.

    Args:
        open_stream: The method `ExplainStream` of a stub.
        connection: Where it leads.
        asking: Makes what is sent of an image.
        ahead: Images that are read before the first of them has an outcome.
    """

    def __init__(self, open_stream: Any, connection: Connection, asking: Asking, ahead: int) -> None:
        self._open_stream, self._connection, self._asking = open_stream, connection, asking
        self._course = Course(connection, ahead)
        self._changed = threading.Condition()
        self._stream = 0  # the number of the stream that is open; another one sends nothing any more
        self._is_closed = False

    def outcomes(self, images: Iterable[ImageSource]) -> Iterator[Outcome]:
        """The outcome of each image; see `RemoteModel.explain_many`."""
        threading.Thread(target=self._read, args=(images,), name="camgraph-images", daemon=True).start()
        try:
            while self._has_work():
                yield from self._noted(self._course.failed)
                try:
                    yield from self._answers()
                except grpc.RpcError as error:
                    self._pause(error_from(error, self._connection.address, self._connection.timeout))
        finally:
            with self._changed:
                self._is_closed = True
                self._changed.notify_all()
        if self._course.failure is not None:
            raise self._course.failure

    def _read(self, images: Iterable[ImageSource]) -> None:
        failure = None
        try:
            for index, image in enumerate(images):
                asked = self._asking.asked(index, image)
                with self._changed:
                    self._changed.wait_for(lambda: self._is_closed or not self._course.is_full)
                    if self._is_closed:
                        return
                    self._course.add(asked)
                    self._changed.notify_all()
        except BaseException as error:  # it is raised where the outcomes are read
            failure = error
        self._noted(lambda: self._course.end(failure))

    def _has_work(self) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._course.has_work or self._course.has_ended)
            return not self._course.is_over

    def _answers(self) -> Iterator[Outcome]:
        """The outcomes that one stream brings."""
        if not self._course.has_work:
            return
        with self._changed:
            self._stream += 1
        opened: Future[Any] = Future()
        call = self._open_stream(self._requests(self._stream, opened))
        opened.set_result(call)
        try:
            for response in call:
                yield from self._noted(partial(self._course.answered, response))
            self._course.check_ended()
        finally:
            with self._changed:
                self._stream += 1
                self._changed.notify_all()
            call.cancel()

    def _requests(self, stream: int, opened: Future[Any]) -> Iterator[pb.ExplainStreamRequest]:
        """What is sent on a stream, on a thread of gRPC: what has no answer from the last one, then what is read."""
        headers = opened.result().initial_metadata()
        index = 0
        while True:
            with self._changed:
                self._changed.wait_for(partial(self._is_decided, stream, index))
                asked = self._course.following(index)
                if self._stream != stream or asked is None:
                    return
                index = asked.index + 1
                message = sendable(asked, headers)
            if message is not None:
                yield message

    def _is_decided(self, stream: int, index: int) -> bool:
        """Whether an image from this index on can be sent, or never will be on this stream."""
        return self._stream != stream or self._course.has_ended or self._course.following(index) is not None

    def _pause(self, error: CamgraphError) -> None:
        with self._changed:
            seconds = self._course.pause_after(error)
            self._changed.wait_for(lambda: self._is_closed, seconds)

    def _noted(self, change: Callable[[], Any]) -> Any:
        with self._changed:
            value = change()
            self._changed.notify_all()
        return value
