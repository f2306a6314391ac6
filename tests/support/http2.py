"""A client that speaks HTTP/2 by hand: it stops where no library would."""

from __future__ import annotations

import asyncio
import contextlib
import struct

CALL = "/camgraph.v1.ExplanationService/Explain"


class Http2:
    """A client that sends and reads what no library would."""

    PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def call(cls, address: str, message: bytes, sent: int) -> Http2:
        """Begins a call, and sends so many bytes of its message."""
        host, _, port = address.rpartition(":")
        client = cls(*await asyncio.open_connection(host, int(port), limit=1024))
        names = {
            b":method": b"POST",
            b":scheme": b"http",
            b":path": CALL.encode(),
            b":authority": b"x",
            b"te": b"trailers",
            b"content-type": b"application/grpc",
        }
        headers = b"".join(b"\0" + bytes([len(k)]) + k + bytes([len(v)]) + v for k, v in names.items())
        body = (b"\0" + struct.pack(">I", len(message)) + message)[:sent]
        frames = cls.frame(4, 0, 0) + cls.frame(1, 4, 1, headers)
        done = sent >= len(message) + 5
        client.writer.write(cls.PREFACE + frames + cls.frame(0, int(done), 1, body))
        await client.writer.drain()
        return client

    @staticmethod
    def frame(kind: int, flags: int, stream: int, data: bytes = b"") -> bytes:
        return struct.pack(">I", len(data))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + data

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()
