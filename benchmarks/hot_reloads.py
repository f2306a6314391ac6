"""Hot reloads under load: no call may fail, and memory must stay flat.

`hot_reloads.py GRAPH [RELOADS] [CALLERS]` serves a copy of an explainable graph, has callers call it without a pause,
and replaces the file again and again by one with another remark in its manifest. Every tenth part of the way it prints
the server's memory, and at the end how many calls failed, and what is left after the model was unloaded.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx

from camgraph_client import AsyncClient
from camgraph_runtime import METADATA_KEY, manifest_from_json, manifest_to_json

MIB = 1024 * 1024


def variants(graph: Path) -> list[bytes]:
    """The graph twice, with another remark in each manifest."""
    made = []
    for number in range(2):
        model = onnx.load(graph)
        [entry] = [entry for entry in model.metadata_props if entry.key == METADATA_KEY]
        manifest = manifest_from_json(entry.value)
        manifest.notes.append(f"variant {number}")
        entry.value = manifest_to_json(manifest)
        made.append(model.SerializeToString())
    return made


@contextlib.contextmanager
def serving(repository: Path) -> Iterator[tuple[str, int]]:
    """A server process: its address and its process id."""
    command = [sys.executable, "-c", "from camgraph_cli.main import main; main()", "serve"]
    options = ["--model-repository", str(repository), "--listen", "127.0.0.1:0", "--model-control"]
    with subprocess.Popen(
        [*command, *options, "--reload-interval", "0", "--log-level", "error"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().split()[-1], process.pid
        finally:
            process.terminate()


def memory(pid: int) -> float:
    """Resident MiB of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / MIB


async def run(graph: Path, reloads: int, callers: int) -> None:
    """Serves, calls, reloads, prints."""
    variant, outcomes, done = variants(graph), Counter[str](), asyncio.Event()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        path.write_bytes(variant[1])
        with serving(Path(folder)) as (address, pid):
            async with AsyncClient(address) as client:

                async def call_on() -> None:
                    model, image = client.model("model"), np.zeros((64, 64, 3), np.uint8)
                    while not done.is_set():
                        try:
                            await model.explain(image, outputs=["raw-map"])
                            outcomes["ok"] += 1
                        except Exception as error:  # whatever it is, it is counted
                            outcomes[f"{type(error).__name__}: {error}"] += 1

                tasks = [asyncio.ensure_future(call_on()) for _ in range(callers)]
                began = time.monotonic()
                for number in range(reloads):
                    new = path.with_name(".new")
                    new.write_bytes(variant[number % 2])
                    new.replace(path)
                    [loaded] = await client.load_model("model")
                    assert loaded.reason == ""
                    if number % max(1, reloads // 10) == 0 or number == reloads - 1:
                        print(f"{number + 1:5} reloads, {memory(pid):6.0f} MiB, calls: {dict(outcomes)}", flush=True)
                seconds = time.monotonic() - began
                done.set()
                await asyncio.gather(*tasks)
                print(f"{seconds / reloads:.2f} s per reload; calls: {dict(outcomes)}")
                await client.unload_model("model")
                await asyncio.sleep(8)  # until the last call's explainer is closed, and the trial's process ended
                print(f"{memory(pid):.0f} MiB after it was unloaded")


if __name__ == "__main__":
    asyncio.run(run(Path(sys.argv[1]), *map(int, [*sys.argv[2:], "1000", "2"][:2])))
