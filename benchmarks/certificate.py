"""What each check of the certificate takes, as a share of the whole export.

    python benchmarks/certificate.py examples/models/efficientnet_lite0.onnx [MODEL.onnx ...] [--layer NAME]

Shares are medians over exports in memory; reading and writing of files is left out.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from collections import defaultdict
from pathlib import Path

from camgraph_exporter import export

_EXAMPLE = Path(__file__).resolve().parent.parent / "examples/models/efficientnet_lite0.onnx"


def main() -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", type=Path, default=[_EXAMPLE])
    parser.add_argument("--layer", default="auto")
    parser.add_argument("--repeat", type=int, default=5, help="exports of each model")
    options = parser.parse_args()
    for model in options.models:
        runs = [_shares(model, options.layer) for _ in range(options.repeat)]
        print(f"{model.name}, layer {options.layer}: {statistics.median(total for total, _ in runs):.2f} s")
        for name in runs[0][1]:
            print(f"  {statistics.median(shares[name] for _, shares in runs):6.1%}  {name}")


def _shares(model: Path, layer: str) -> tuple[float, dict[str, float]]:
    """Export once; return the seconds that it took, and each check's share of them."""
    marks: list[tuple[str, float]] = []
    started = time.perf_counter()
    export(model, layers=layer, progress=lambda name, *_: marks.append((name, time.perf_counter())))
    total = time.perf_counter() - started
    shares: dict[str, float] = defaultdict(float)
    for (name, begin), (_, end) in itertools.pairwise(marks):
        shares[name] += (end - begin) / total
    return total, dict(shares)


if __name__ == "__main__":
    main()
