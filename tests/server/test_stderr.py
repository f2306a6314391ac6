"""What libraries write to stderr becomes lines of the log, and never blocks them."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from io import BytesIO
from typing import Any

import grpc
import numpy as np
import pytest
from PIL import Image

from camgraph.v1 import explanation_pb2 as pb
from camgraph.v1.explanation_pb2_grpc import ExplanationServiceStub
from camgraph_server.observe import stderr
from support.serving import PATIENCE, camgraph_command, server_process

PREPARED = """
import ctypes, os
from camgraph_server.observe.log import configure_logging
from camgraph_server.observe.stderr import captured_stderr
configure_logging("json", "info")
with captured_stderr():
"""


def run(body: str) -> list[str]:
    """The lines that a program writes to stderr while it is captured, and after."""
    code = PREPARED + body
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=PATIENCE)
    return ran.stderr.splitlines()


def texts(lines: list[str]) -> list[Any]:
    return [json.loads(line)["text"] for line in lines]


def test_lines_of_a_library_become_records():
    lines = run("    ctypes.CDLL(None).dprintf(2, b'one\\n\\n  two \\x1b[31m\\nthree')\n    os.write(2, bytes([255]))")
    assert texts(lines) == ["one", "two \x1b[31m", "three\ufffd"]
    assert all(json.loads(line)["level"] == "WARNING" for line in lines)


def test_a_long_line_is_cut():
    lengths = [len(text) for text in texts(run(f"    os.write(2, b'x' * {2 * stderr._LONGEST_LINE + 10})"))]
    assert lengths == [1003, 1003, 10]


def test_a_library_that_keeps_python_from_running_is_not_blocked():
    body = "    ctypes.PyDLL(None).write(2, b'x' * 4_000_000, 4_000_000)"  # it holds the lock of the interpreter
    assert run(body)


def test_a_flood_leaves_lines_out_and_says_so():
    lines = run(
        "    for _ in range(3000): os.write(2, b'again\\n')\n    import time; time.sleep(1.1); os.write(2, b'end')"
    )
    records = [json.loads(line) for line in lines]
    assert len(records) < 600
    assert records[-1]["text"] == "end"
    assert sum(record.get("lines_left_out", 0) for record in records) + len(records) == 3001


def test_after_the_capture_stderr_is_as_it_was():
    lines = run("    os.write(2, b'inside\\n')\nos.write(2, b'outside\\n')")
    assert Counter(line.startswith("{") for line in lines) == {True: 1, False: 1}
    assert "outside" in lines


async def test_the_log_of_a_server_is_json_throughout(connect, repository):
    buffer = BytesIO()
    image = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    Image.fromarray(image).save(buffer, "TIFF", compression="tiff_lzw")
    broken = bytearray(buffer.getvalue())
    broken[200:260] = (byte ^ 255 for byte in broken[200:260])
    with server_process(repository, "--log-format", "json") as process:
        with pytest.raises(grpc.RpcError):
            await ExplanationServiceStub(connect(process.address)).Explain(
                pb.ExplainRequest(image=pb.EncodedImage(data=bytes(broken))), timeout=PATIENCE
            )
        process.signal(signal.SIGTERM)
        code, log = process.wait()
    assert code == 0
    records = [json.loads(line) for line in log.splitlines()]
    assert any("not yet in table" in record.get("text", "") for record in records)  # libtiff's own words
    assert records[-1]["message"] == "stopped"


@pytest.mark.parametrize("more", [(), ("--supervised",)])
def test_a_server_whose_stderr_is_closed_serves(more, repository):
    arguments = ["serve", "--model-repository", str(repository), "--listen", "127.0.0.1:0", "--no-trial-load", *more]
    command = ["sh", "-c", 'exec "$@" 2>&-', "sh", *camgraph_command(arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert re.match(r"listening on ", process.stdout.readline())
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
