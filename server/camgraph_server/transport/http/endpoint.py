"""What is asked at an address, and what is answered."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from starlette.routing import Route

from camgraph_core.errors import TooLargeError
from camgraph_server.call import Call
from camgraph_server.config.limits import MIB
from camgraph_server.transport.rules import DEFAULT, Rule

JSON = "application/json"

_LONGEST_ID = 200  # characters, which the log has room for


@dataclass(frozen=True)
class Asked:
    """A request whose body has arrived.

    Attributes:
        path: The parts of the address that vary, by name.
        headers: The headers, with names in small letters.
        body: The body; empty where the endpoint takes none.
    """

    path: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytearray = field(default_factory=bytearray)

    @property
    def request_id(self) -> str:
        """The caller's name of the request, which its headers may say."""
        return self.headers.get("x-request-id", "")[:_LONGEST_ID]


@dataclass(frozen=True)
class Answer:
    """What is written.

    Attributes:
        body: The body, in pieces.
        status: The status.
        headers: Further headers.
        content_type: What the body is.
    """

    body: tuple[bytes, ...]
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = JSON

    @classmethod
    def of(cls, value: Any, **fields: Any) -> Answer:
        """An answer with a value as JSON."""
        return cls((json.dumps(value).encode(),), **fields)

    @classmethod
    def within(cls, pieces: Iterable[bytes], most: int, **fields: Any) -> Answer:
        """An answer of pieces that are made one by one.

        Raises:
            TooLargeError: They take more than so many bytes.
        """
        kept, size = [], 0
        for piece in pieces:
            size += len(piece)
            if size > most:
                raise TooLargeError(
                    f"The answer takes more than the limit of {most / MIB:.0f} MiB; ask for fewer targets, or for "
                    "pictures instead of arrays."
                )
            kept.append(piece)
        return cls(tuple(kept), **fields)

    @property
    def size(self) -> int:
        """Bytes of the body."""
        return sum(map(len, self.body))


Encode = Callable[[Any, Any], Answer]
"""Makes an answer of its value and what was asked."""


@dataclass(frozen=True)
class Endpoint:
    """One address.

    Attributes:
        service: Name of its protocol in the record of a call.
        name: Its name there.
        answer: From what is asked to the value of the answer.
        decode: Makes what is asked of the request; runs on a thread where there is a body.
        encode: Makes the answer of the value and what was asked; runs on a thread where there is a body.
        takes_body: Whether it reads the body of a request.
        rule: How its calls are treated.
        admit: Refuses a call by its headers alone.
    """

    service: str
    name: str
    answer: Callable[[Any, Call], Awaitable[Any]]
    decode: Callable[[Asked], Any] = lambda asked: asked
    encode: Encode = lambda value, _: value
    takes_body: bool = False
    rule: Rule = DEFAULT
    admit: Callable[[Call], None] = lambda _: None


def route(method: Literal["GET", "POST"], path: str, endpoint: Endpoint) -> Route:
    """An address with its endpoint."""
    return Route(path, endpoint, methods=[method])  # type: ignore[arg-type]  # it is matched by Starlette, and called by us
