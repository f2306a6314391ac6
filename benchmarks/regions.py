"""What hot regions cost: CPU time of this process on smooth maps, and on noise, the worst case.

Prints a row for each size of the network's input: `python benchmarks/regions.py`.
"""

from __future__ import annotations

import time

import numpy as np

from camgraph_core.frame import Frame
from camgraph_core.regions import hot_regions
from camgraph_runtime.maps.resize import resize_map

REPEATS = 15


def cost_ms(heatmap: np.ndarray) -> float:
    """The median CPU time in milliseconds."""
    frame, times = Frame.identity(*heatmap.shape), []
    for _ in range(REPEATS):
        started = time.process_time()
        hot_regions(heatmap, frame, 0.5)
        times.append(time.process_time() - started)
    return float(np.median(times)) * 1e3


def main() -> None:
    """Measure and print."""
    rng = np.random.default_rng(0)
    print(f"{'input':>12}  {'7 x 7 cells':>12}  {'80 x 80 cells':>14}  {'noise':>10}")
    for side in (224, 640, 1280):
        maps = [resize_map(rng.random((cells, cells), np.float32), (side, side)) for cells in (7, 80)]
        costs = [cost_ms(heatmap) for heatmap in (*maps, rng.random((side, side), np.float32))]
        print(f"{side:>5} x {side:>4}  {costs[0]:>9.1f} ms  {costs[1]:>11.1f} ms  {costs[2]:>7.1f} ms")


if __name__ == "__main__":
    main()
