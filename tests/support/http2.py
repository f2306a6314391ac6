"""HTTP/2 and messages by hand, as no library writes them."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from typing import ClassVar

CALL = "/camgraph.v1.ExplanationService/Explain"


class Http2:
    """A client that sends and reads what no library would."""

    PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    NAMES: ClassVar = {
        b":method": b"POST",
        b":scheme": b"http",
        b":path": CALL.encode(),
        b":authority": b"x",
        b"te": b"trailers",
        b"content-type": b"application/grpc",
    }
    _LARGEST_FRAME = 16384

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self._windows = {0: 65535, 1: 65535}  # bytes that may be sent, altogether and for the call

    @classmethod
    async def call(
        cls,
        address: str,
        message: bytes,
        sent: int,
        *,
        method: str = CALL,
        ends: bool | None = None,
        timeout: str | None = None,
        encoding: str | None = None,
    ) -> Http2:
        """Begins a call, and sends so many bytes of its message, 5 of them before it.

        By default it ends its side where the message is whole. With an encoding, the message counts as compressed.
        """
        host, _, port = address.rpartition(":")
        client = cls(*await asyncio.open_connection(host, int(port), limit=1024))
        client.writer.write(cls.PREFACE + cls.frame(4, 0, 0) + cls.headers(1, method, timeout, encoding))
        whole = bytes([encoding is not None]) + struct.pack(">I", len(message)) + message
        await client._send(whole[:sent], ends=sent >= len(whole) if ends is None else ends)
        return client

    @classmethod
    def headers(cls, stream: int, method: str = CALL, timeout: str | None = None, encoding: str | None = None) -> bytes:
        """The frame that begins a call."""
        names = {**cls.NAMES, b":path": method.encode()}
        if timeout is not None:
            names[b"grpc-timeout"] = timeout.encode()
        if encoding is not None:
            names[b"grpc-encoding"] = encoding.encode()
        block = b"".join(b"\0" + bytes([len(k)]) + k + bytes([len(v)]) + v for k, v in names.items())
        return cls.frame(1, 4, stream, block)

    @staticmethod
    def frame(kind: int, flags: int, stream: int, data: bytes = b"") -> bytes:
        return struct.pack(">I", len(data))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + data

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()

    async def _send(self, message: bytes, *, ends: bool) -> None:
        data = memoryview(message)  # whose parts are no copies
        while data:
            room = min(*self._windows.values(), self._LARGEST_FRAME)
            if room <= 0:
                await self._hear()
                continue
            part, data = data[:room], data[room:]
            self._windows = {key: window - len(part) for key, window in self._windows.items()}
            self.writer.write(self.frame(0, int(ends and not data), 1, bytes(part)))
            await self.writer.drain()

    async def _hear(self) -> None:
        """Reads a frame, and notes how much more may be sent."""
        head = await self.reader.readexactly(9)
        body = await self.reader.readexactly(int.from_bytes(head[:3], "big"))
        stream = int.from_bytes(head[5:], "big")
        if head[3] == 4 and not head[4] & 1:
            for at in range(0, len(body), 6):
                if body[at : at + 2] == b"\0\4":
                    self._windows[1] += int.from_bytes(body[at + 2 : at + 6], "big") - 65535
            self.writer.write(self.frame(4, 1, 0))
        elif head[3] == 6 and not head[4] & 1:
            self.writer.write(self.frame(6, 1, 0, body))
        elif head[3] == 3 or (head[3] == 1 and head[4] & 1):
            raise ConnectionResetError("The call has ended.")
        elif head[3] == 8:
            self._windows[stream] += int.from_bytes(body, "big")


def field(number: int, data: bytes) -> bytes:
    """A field of bytes on the wire."""
    return varint(number << 3 | 2) + varint(len(data)) + data


def varint(value: int) -> bytes:
    """A whole number on the wire."""
    more = b""
    while value > 127:
        more, value = more + bytes([value & 127 | 128]), value >> 7
    return more + bytes([value])
