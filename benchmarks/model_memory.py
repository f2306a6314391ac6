"""Memory that a loaded model takes, against the size of its files: what `models/memory.py` of the server counts for it.

`model_memory.py GRAPH...` loads each explainable graph in a process of its own, as the server does, with its first
explanation, and prints what it takes then, after it was closed, and after freed memory was given back to the system.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from camgraph_server.config import ServerConfig
from camgraph_server.heap import trim
from camgraph_server.models.loading import load_explainer

MIB = 1024 * 1024


def resident() -> float:
    """MiB that this process has."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE") / MIB


def files(graph: Path) -> float:
    """MiB of a graph and of the files that are named after it."""
    return sum(file.stat().st_size for file in graph.parent.glob(f"{graph.name}*")) / MIB


def measure(warm: Path, graph: Path) -> None:
    """Prints what one graph takes, in a process that has explained something with another before."""
    config = ServerConfig(graph.parent, allow_uncertified=True)
    load_explainer(config, warm).close()
    trim()
    before = resident()
    explainer = load_explainer(config, graph)
    loaded = resident() - before
    trim()
    trimmed = resident() - before
    explainer.close()
    closed = resident() - before
    trim()
    size = files(graph)
    print(
        f"{graph.name:32} {size:7.1f} MiB of files; MiB of memory: loaded {loaded:.1f}, trimmed {trimmed:.1f} "
        f"({trimmed / size:.2f} times the files), closed {closed:.1f}, trimmed {resident() - before:.1f}",
        flush=True,
    )


if __name__ == "__main__":
    if sys.argv[1] == "--one":
        measure(Path(sys.argv[2]), Path(sys.argv[3]))
    else:
        for name in sys.argv[1:]:
            subprocess.run([sys.executable, __file__, "--one", sys.argv[1], name], check=True)
