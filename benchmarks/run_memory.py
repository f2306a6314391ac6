"""Memory that a run of a graph takes, against what the server counts for it.

`run_memory.py GRAPH TIMESxTARGETS...` loads and measures an explainable graph as the server does, and
then runs it for its own image enlarged so many TIMES, with so many TARGETS. It prints what each run took and what the
server would have counted for it before.
"""

from __future__ import annotations

import sys
from pathlib import Path

from camgraph_server.config import ServerConfig
from camgraph_server.heap import keep_little
from camgraph_server.models.loading import load_explainer
from camgraph_server.models.measuring import Measuring, enlarged, measured

MIB = 1024 * 1024


def main(graph: Path, runs: list[str]) -> None:
    """Prints a line for each run."""
    keep_little()
    explainer = load_explainer(ServerConfig(graph.parent, allow_uncertified=True), graph)
    memory, sample = measured(explainer), explainer.sample
    assert memory is not None, "this system does not tell what a process takes"
    assert sample is not None, "it has explained one"
    print(f"{graph.name}: {memory}", flush=True)
    measuring = Measuring(explainer, sample)
    for run in runs:
        times, targets = map(int, run.split("x"))
        image = enlarged(sample, explainer, times)
        cost = measuring.cost(image, targets)
        print(
            f"{' x '.join(map(str, image.tensor.shape))}, {targets} targets: took {cost.bytes / MIB:.0f} MiB, counted "
            f"{memory.of(image.tensor.size, targets) / MIB:.0f} MiB",
            flush=True,
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
