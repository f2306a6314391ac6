"""HTTP of several processes on one port, and of the command as users start it."""

from __future__ import annotations

import asyncio
import signal

import httpx
import pytest

from support.rest import EXPLAIN, body
from support.serving import PATIENCE, run_camgraph, server_process


@pytest.mark.timeout(120)
async def test_several_processes_answer_on_one_port_and_stop_together(repository):
    with server_process(repository, "--http", "127.0.0.1:0", "--processes", "2", "--workers", "1") as process:
        url = f"http://{process.http_address}"
        answers = []
        for _ in range(20):  # each on a connection of its own, which Linux gives to one of the processes
            async with httpx.AsyncClient(base_url=url, timeout=PATIENCE, trust_env=False) as client:
                answers.append((await client.post(EXPLAIN, json=body())).status_code)
                refused = await client.get("/metrics")
        process.signal(signal.SIGTERM)
        code, log = await asyncio.to_thread(process.wait)
    assert answers == [200] * 20
    assert (refused.status_code, "--metrics" in refused.json()["error"]) == (404, True)
    assert code == 0, log
    peers = [line for line in log.splitlines() if "rpc=Explain" in line]
    assert len(peers) == 20


def test_an_address_that_is_taken_ends_the_command_with_a_sentence(repository):
    with server_process(repository, "--http", "127.0.0.1:0") as process:
        for processes in ("1", "2"):
            ended = run_camgraph(
                *("serve", "--model-repository", str(repository), "--listen", "127.0.0.1:0", "--no-trial-load"),
                *("--http", process.http_address, "--processes", processes),
            )
            assert ended.returncode == 1
            assert f"Cannot listen on {process.http_address}: " in ended.stderr
            assert "with --http HOST:PORT" in ended.stderr
            assert "Traceback" not in ended.stderr
