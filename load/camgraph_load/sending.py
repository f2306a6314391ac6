"""One process that sends calls: on a schedule (open loop), or each caller after its last answer (closed loop)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import grpc.aio
import numpy as np

from camgraph_client.channel import Connection
from camgraph_client.opening import open_aio_channel
from camgraph_core.errors import UsageError
from camgraph_load.mix import Mix, judge
from camgraph_load.records import NO_STAGES, OK, RECORD, Records, Seconds
from camgraph_load.ways import Calls, StatusError, Stream, Way

_PATIENCE = 10.0  # seconds to connect, at most
_PULSE = 0.01  # seconds between looks at the event loop's own lag


@dataclass(frozen=True)
class Task:
    """What one process has to do. All times are in seconds after the start of the run.

    Attributes:
        connection: Where the server is; its `timeout` is the deadline of each call.
        connections: Number of connections, which are used in turn.
        mix: What to send.
        process: Number of this process, from 0.
        duration: Length of the run.
        due: The schedule of an open loop; None for a closed loop.
        callers: Of a closed loop: number of callers. Of an open one: most calls in flight; further ones wait, and
            count from when they were due.
        checks: Whether answers are judged.
        stream: Whether the calls of a connection go on one stream.

    """

    connection: Connection
    connections: int
    mix: Mix
    process: int
    duration: float
    due: Seconds | None
    callers: int
    checks: bool
    stream: bool = False


@dataclass(frozen=True)
class Sent:
    """What one process did.

    Attributes:
        records: One row per call.
        lag: How late the event loop was at each look at it, in seconds.
        cpu: CPU time of the process per second of the run.

    """

    records: Records
    lag: Seconds
    cpu: float


async def send(task: Task, begin: Callable[[], float], count: Callable[[], None]) -> Sent:
    """Runs a task.

    Args:
        task: What to do.
        begin: Called once all connections are made; waits for the other processes, and returns when the run starts by
            `time.monotonic`, which all processes of a machine share.
        count: Called after each answer.

    Raises:
        UsageError: The server cannot be reached.

    """
    channels = [_channel(task.connection) for _ in range(task.connections)]
    ways: list[Way] = []
    lag: list[float] = []
    try:
        await _connected(task.connection, channels)
        start = await asyncio.to_thread(begin)
        ways += [Stream(channel) if task.stream else Calls(channel) for channel in channels]
        sender = _Sender(task, start, ways, count)
        await asyncio.sleep(max(0.0, -sender.now()))
        busy, pulse = time.process_time(), asyncio.create_task(_pulse(lag))
        await (sender.closed_loop() if task.due is None else sender.open_loop(task.due))
        cpu = (time.process_time() - busy) / max(task.duration, sender.now())
        pulse.cancel()
    finally:
        await asyncio.gather(*(way.close() for way in ways))
        await asyncio.gather(*(channel.close() for channel in channels))
    return Sent(np.array(sender.rows, RECORD), np.array(lag), cpu)


class _Sender:
    """Sends calls and notes what became of them."""

    def __init__(self, task: Task, start: float, ways: Sequence[Way], count: Callable[[], None]) -> None:
        self.rows: list[tuple[object, ...]] = []
        self._task, self._start, self._ways, self._count = task, start, ways, count
        self._number = 0
        length = len(task.due) if task.due is not None else 100_000
        self._order = task.mix.order(max(1, length), task.process)

    def now(self) -> float:
        """Seconds after the start."""
        return time.monotonic() - self._start

    async def open_loop(self, due: Seconds) -> None:
        """Sends each call when it is due, whatever became of those before it."""
        places = asyncio.Semaphore(self._task.callers)
        calls: set[asyncio.Task[None]] = set()
        for moment in due.tolist():
            await asyncio.sleep(moment - self.now())
            await places.acquire()
            call = asyncio.create_task(self._one(moment))
            calls.add(call)
            call.add_done_callback(calls.discard)
            call.add_done_callback(lambda _: places.release())
        await asyncio.gather(*calls)

    async def closed_loop(self) -> None:
        """Each caller sends its next call when it has the answer to the last."""
        await asyncio.gather(*(self._caller() for _ in range(self._task.callers)))

    async def _caller(self) -> None:
        while self.now() < self._task.duration:
            await self._one(None)

    async def _one(self, due: float | None) -> None:
        task, number = self._task, self._number
        self._number += 1
        index = self._order[number % len(self._order)]
        call, way = task.mix.calls[index], self._ways[number % len(self._ways)]
        sent = self.now()
        code, answer = OK, b""
        try:
            data = await way.send(call.request, task.connection.timeout)
            done = self.now()
            code, answer = way.read(data)
        except StatusError as error:
            done, code = self.now(), error.code.value[0]
        wrong, stages = False, NO_STAGES
        if task.checks and code == OK:
            verdict = judge(call, answer)
            wrong, stages = verdict.wrong, verdict.stages
        self.rows.append((index, sent if due is None else due, sent, done, code, wrong, len(answer), stages))
        self._count()


async def _connected(connection: Connection, channels: Sequence[grpc.aio.Channel]) -> None:
    patience = min(_PATIENCE, connection.timeout)
    try:
        async with asyncio.timeout(patience):
            await asyncio.gather(*(channel.channel_ready() for channel in channels))
    except TimeoutError:
        text = f"{connection.address} did not accept a connection within {patience:g} s. Start the server."
        raise UsageError(text) from None


async def _pulse(lag: list[float]) -> None:
    """Notes how late the event loop wakes up, until it is cancelled: late means that the client is what is measured."""
    while True:
        wanted = time.monotonic() + _PULSE
        await asyncio.sleep(_PULSE)
        lag.append(time.monotonic() - wanted)


def _channel(connection: Connection) -> grpc.aio.Channel:
    # Channels with equal arguments would share one connection.
    return open_aio_channel(connection, [("grpc.use_local_subchannel_pool", 1)])
