"""SIGTERM under load, again and again: what was accepted is answered, and nobody gets a code but OK or UNAVAILABLE."""

from __future__ import annotations

import asyncio
import signal
import time
from collections import Counter
from pathlib import Path

from camgraph.v1 import explanation_pb2 as pb
from chaos.herd import Herd
from support.serving import PATIENCE, png, server_process

_WARM = 0.5  # seconds of calls before the signal
_AFTER = 0.1  # seconds of calls after the end


async def stop_once(repository: Path, callers: int, *options: str) -> Counter[str]:
    """Stops a server that is called all the time.

    Returns:
        How often each code came, how often the server answered and the caller did not see it ("lost"), and how often
        the exit code was not 0 ("failed stops").
    """
    herd = Herd()
    request = pb.ExplainRequest(image=pb.EncodedImage(data=png(300, 300)))
    with server_process(repository, "--grace", str(PATIENCE / 2), *options) as server:
        async with herd.calling(server.address, callers, request):
            await asyncio.sleep(_WARM)
            server.signal(signal.SIGTERM)
            code, log = await asyncio.to_thread(server.wait)
            await asyncio.sleep(_AFTER)
    counts = Counter(herd.codes)
    counts["lost"] = max(0, log.count("rpc=Explain status=OK") - herd.codes["OK"])
    counts["failed stops"] = int(code != 0)
    return counts


async def series(repository: Path, rounds: int, callers: int, *options: str) -> bool:
    """Does it again and again, and prints the sums; whether all was well."""
    total: Counter[str] = Counter()
    began = time.monotonic()
    for _ in range(rounds):
        total += await stop_once(repository, callers, *options)
    print(
        f"{rounds} x SIGTERM with {callers} callers {' '.join(options)} in {time.monotonic() - began:.0f} s:",
        dict(total),
    )
    return is_well(total)


def is_well(counts: Counter[str]) -> bool:
    """Whether calls were answered, and nothing came but what may come."""
    return counts["OK"] > 0 and {name for name, count in counts.items() if count} <= {"OK", "UNAVAILABLE"}
