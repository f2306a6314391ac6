"""The log: lines that cannot be forged, and a reader that stops reading."""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import os
import re
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable

from camgraph.v1 import explanation_pb2 as pb
from camgraph.v1.explanation_pb2_grpc import ExplanationServiceStub
from camgraph_server.observe.log import JsonFormatter, TextFormatter, log_event
from camgraph_server.observe.sink import LogSink
from support.http2 import Http2
from support.serving import PATIENCE, png, running_server, server_process

PIPE_BYTES = 65536  # what Linux keeps for a reader; a line of the log takes about 200
NOTICE = re.compile(rb"WARNING (\d+) lines of the log were dropped")


def record(**facts: object) -> logging.LogRecord:
    caught: list[logging.LogRecord] = []
    logger = logging.Logger("test")
    logger.handle = caught.append  # type: ignore[assignment]  # the test's own handler
    log_event(logger, logging.INFO, "call", **facts)
    return caught[0]


def test_text_lines_cannot_be_forged():
    line = TextFormatter().format(record(model="a", ms=1.23456, id='x\nstatus="OK" y=1', none=None, empty=""))
    assert line.endswith('Z INFO call model=a ms=1.235 id="x\\nstatus=\\"OK\\" y=1" empty=""')
    assert "\n" not in line


def test_what_libraries_write_is_one_line_and_not_long():
    said = logging.LogRecord(
        "library", logging.ERROR, "", 0, "odd tag: %s", ("x\n2026 INFO call status=OK" + "y" * 5000,), None
    )
    line = TextFormatter().format(said)
    assert "\n" not in line
    assert len(line) < 1200
    assert len(json.loads(JsonFormatter().format(said))["message"]) < 1200


def test_json_lines():
    entry = json.loads(JsonFormatter().format(record(ms=1.23456, request_id="x" * 1000)))
    assert entry["message"] == "call"
    assert entry["ms"] == 1.235
    assert len(entry["request_id"]) < 300


def test_a_reader_that_stops_costs_lines_and_no_time():
    reading, writing = os.pipe()
    sink = LogSink(writing, capacity=10)
    sink.setFormatter(TextFormatter())
    for number in range(5000):  # far more than the pipe and the queue hold
        sink.handle(record(number=number, filling="x" * 100))
    text = b""
    while text.count(b" call number=") + sum(map(int, NOTICE.findall(text))) < 5000:
        text += os.read(reading, PIPE_BYTES)
    assert text.count(b" call number=") + sum(map(int, NOTICE.findall(text))) == 5000
    assert sum(map(int, NOTICE.findall(text))) > 1000
    sink.close()
    os.close(reading)
    os.close(writing)


def test_a_disk_that_is_full_costs_lines_that_are_counted_and_spoils_no_other(monkeypatch, tmp_path):
    path = tmp_path / "log"
    descriptor, room, write = os.open(path, os.O_CREAT | os.O_WRONLY), [70], os.write

    def limited(where: int, data: bytes) -> int:
        if where != descriptor:
            return write(where, data)
        if not room[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = write(where, data[: room[0]])
        room[0] -= written
        return written

    monkeypatch.setattr(os, "write", limited)
    sink = LogSink(descriptor)
    sink.setFormatter(logging.Formatter("%(message)s"))
    for number in range(3):
        sink.handle(logging.makeLogRecord({"msg": f"line {number}" + "x" * 42}))
    wait_until(lambda: sink.dropped == 2)
    room[0] = 1000
    sink.handle(logging.makeLogRecord({"msg": "later"}))
    sink.close()
    os.close(descriptor)
    assert path.read_text().splitlines() == [
        "line 0" + "x" * 42,
        "line 1" + "x" * 15,
        "later",
        "2 lines of the log were dropped",
    ]
    assert sink.dropped == 2


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_reader_that_has_gone_stops_nobody():
    reading, writing = os.pipe()
    os.close(reading)
    sink = LogSink(writing)
    sink.handle(record())
    sink.close()
    os.close(writing)


def test_a_line_that_comes_as_the_thread_goes_to_sleep_is_written(monkeypatch):
    monkeypatch.setattr("camgraph_server.observe.sink._QUIET", 1)
    reading, writing = os.pipe()
    sink = LogSink(writing)
    sink.setFormatter(TextFormatter())
    wakes, sleeps = sink._has_some, threading.Event()

    def clear() -> None:
        if not sleeps.is_set():
            sink.handle(record(number=2))
            sleeps.set()
        threading.Event.clear(wakes)

    monkeypatch.setattr(wakes, "clear", clear)
    sink.handle(record(number=1))
    assert sleeps.wait(PATIENCE)
    assert select.select([reading], [], [], PATIENCE)[0]
    text = os.read(reading, PIPE_BYTES)
    while b"number=2" not in text:
        assert select.select([reading], [], [], PATIENCE)[0]
        text += os.read(reading, PIPE_BYTES)
    sink.close()
    os.close(reading)
    os.close(writing)


class Unsayable:
    def __str__(self) -> str:
        raise RuntimeError(self)


def test_a_line_that_cannot_be_written_is_named_and_the_others_follow():
    reading, writing = os.pipe()
    sink = LogSink(writing)
    sink.setFormatter(TextFormatter())
    sink.handle(logging.LogRecord("library", logging.INFO, "library.py", 7, "%d files", ("no number",), None))
    sink.handle(logging.LogRecord("odd library", logging.INFO, "library.py", 7, Unsayable(), (), None))
    sink.handle(record(number=1))
    sink.close()
    text = os.read(reading, PIPE_BYTES)
    assert b"WARNING a line of library cannot be written (TypeError" in text
    assert b"'%d files'" in text
    assert b"WARNING a line of odd library cannot be written (RuntimeError" in text
    assert b"call number=1" in text
    os.close(reading)
    os.close(writing)


def test_warnings_of_libraries_are_lines_of_the_log():
    code = (
        "import warnings; from camgraph_server.observe.log import configure_logging; "
        "configure_logging('json', 'info'); warnings.warn('odd file')"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=PATIENCE)
    assert "odd file" in json.loads(ran.stderr)["message"]


async def test_a_server_whose_log_nobody_reads_answers_and_stops(connect, repository):
    calls = PIPE_BYTES // 50
    with server_process(repository, "--workers", "1", "--grace", "5") as process:  # its stderr is a pipe
        stub = ExplanationServiceStub(connect(process.address))
        for _ in range(calls // 20):
            await asyncio.gather(*(stub.ListModels(pb.ListModelsRequest(), timeout=PATIENCE) for _ in range(20)))
        assert (await stub.Explain(pb.ExplainRequest(image=pb.EncodedImage(data=png())), timeout=PATIENCE)).predictions
        process.signal(signal.SIGTERM)
        end = time.monotonic() + PATIENCE
        while process.process.poll() is None and time.monotonic() < end:
            await asyncio.sleep(0.05)
        assert process.process.returncode == 0
        _, log = process.wait()
        assert len(log) > 0.9 * PIPE_BYTES  # so the pipe was full


async def test_a_header_that_is_not_text_is_not_quoted(repository, caplog):
    """It may be a token: gRPC would write it with a traceback."""
    caplog.set_level(logging.INFO, "camgraph.request")
    names = {**Http2.NAMES, b"authorization": b"Bearer a-token-of-somebody\xff"}
    block = b"".join(b"\0" + bytes([len(key)]) + key + bytes([len(value)]) + value for key, value in names.items())
    async with running_server(repository) as server:
        client = await Http2.call(server.address, b"", 0, ends=False)
        client.writer.write(Http2.frame(1, 5, 3, block))  # and no message
        async with asyncio.timeout(PATIENCE):
            while not [record for record in caplog.records if record.getMessage() == "call"]:
                await asyncio.sleep(0.01)
        await client.close()
    assert "a-token" not in caplog.text
