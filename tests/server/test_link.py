"""What a supervisor and a worker make of each other's end: neither takes half a message for one."""

from __future__ import annotations

import asyncio
import io
import os
import threading
from types import SimpleNamespace
from typing import Any, cast

from camgraph_server.processes.life import WorkerLife
from camgraph_server.processes.link import Link
from camgraph_server.processes.messages import Found, Joins, Message, Unloaded, line_of
from support.serving import PATIENCE


def linked(monkeypatch, sent: bytes) -> list[Message | None]:
    """What a worker hears of a supervisor that ends after these bytes."""
    ended, heard = threading.Event(), list[Message | None]()
    monkeypatch.setattr(os, "kill", lambda *_: ended.set())
    reading, writing = os.pipe()
    with io.FileIO(reading) as incoming:
        Link(incoming, io.BytesIO()).on_message = heard.append
        os.write(writing, sent)
        os.close(writing)
        assert ended.wait(PATIENCE)
    return heard


def test_a_worker_stops_also_if_its_supervisor_ends_within_a_message(monkeypatch):
    message = Unloaded(["a/1"])
    assert linked(monkeypatch, line_of(message) + line_of(message)[:7]) == [message, None]


async def test_a_supervisor_lives_on_if_a_worker_ends_within_a_message():
    said = asyncio.StreamReader()
    said.feed_data(line_of(Joins()) + line_of(Found(1, {"a/1": ""}))[:9])
    said.feed_eof()
    life = WorkerLife(cast("Any", SimpleNamespace(stdout=said)))
    assert [message async for message in life.messages()] == [Joins()]
