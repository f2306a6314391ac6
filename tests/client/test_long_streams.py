"""Streams that last: the server's memory stays flat, and a connection that grows too old loses no image."""

from __future__ import annotations

import asyncio
import itertools
import time
from pathlib import Path

import pytest

from camgraph_client import AsyncClient, Client, Connection
from camgraph_client.course import Course
from camgraph_runtime import Explainer
from support.compare import assert_same
from support.serving import PATIENCE, png, server_process, server_thread

_MOST_GROWTH = 8 * 2**20
"""Bytes: a fifth of what 2,500 answers of 19 KB would take if they stayed, and ten times what was seen."""


def memory_of(process: int) -> int:
    """Bytes of memory that a process has now."""
    lines = Path(f"/proc/{process}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:"))


def test_memory_is_flat_over_thousands_of_images_of_one_stream(repository):
    held = {}
    with server_process(repository, "--log-level", "warning") as server, Client(server.address) as client:
        images = itertools.repeat(png(80, 60), 3000)
        for outcome in client.model("tiny").explain_many(images, outputs=["heatmap"]):
            assert outcome.error is None
            if outcome.index + 1 in (500, 3000):
                held[outcome.index + 1] = memory_of(server.process.pid)
    assert held[3000] - held[500] < _MOST_GROWTH


@pytest.mark.parametrize("face", [Client, AsyncClient])
def test_a_connection_that_grows_too_old_loses_no_image(face, repository, graph, monkeypatch):
    breaks, images = 0, [png(seed=seed) for seed in range(5)]
    pause_after = Course.pause_after

    def counted(course, error):
        nonlocal breaks
        breaks += 1
        return pause_after(course, error)

    def frames():
        end = time.monotonic() + PATIENCE
        for image in itertools.cycle(images):
            if breaks >= 3:
                return
            assert time.monotonic() < end, "the connection stays"
            yield image

    async def asynchronous(connection):
        async with AsyncClient(connection) as client:
            return [outcome async for outcome in client.model("tiny").explain_many(frames())]

    monkeypatch.setattr(Course, "pause_after", counted)
    with server_thread(repository, max_connection_age=0.3, grace=0.3) as server:
        connection = Connection(server.address, attempts=2)
        if face is Client:
            with Client(connection) as client:
                outcomes = list(client.model("tiny").explain_many(frames()))
        else:
            outcomes = asyncio.run(asynchronous(connection))
    assert [outcome.index for outcome in outcomes] == list(range(len(outcomes)))
    explainer = Explainer(graph)
    expected = [explainer.explain(image) for image in images]
    for outcome in outcomes:
        assert_same(outcome.result, expected[outcome.index % len(images)])
