"""What exact 8-bit sums cost: onnxruntime's exact kernels against its default ones, in pairs, on this CPU.

The engine takes the exact kernels only on CPUs whose default ones saturate (docs/int8.md). Here they are forced on
every CPU, so that the figure of a CPU that needs none of this says what would be lost by forcing them there.
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
from paired import environment, run_pairs

from camgraph_runtime.run.engine import Engine, Threads
from camgraph_runtime.run.int8 import EXACT_KERNELS
from camgraph_runtime.run.onnx_runtime import cpu_saturates_int8


@click.command()
@click.argument("models", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--pairs", type=click.IntRange(1), default=100, show_default=True, help="Pairs of runs per model.")
@click.option("--threads", type=click.IntRange(1), default=2, show_default=True, help="Threads of every engine.")
def main(models: tuple[Path, ...], pairs: int, threads: int) -> None:
    """Time quantised MODELS, trained or explainable, with both kinds of kernels."""
    verdict = "saturate" if cpu_saturates_int8() else "are exact"
    print(f"{environment(threads)}; this CPU's default kernels {verdict}; {pairs} pairs\n")
    print("| model | default ms | exact ms | ratio (min-max) |\n| --- | ---: | ---: | ---: |")
    for model in models:
        print(_line(model, pairs, Threads(threads)))


def _line(model: Path, pairs: int, threads: Threads) -> str:
    default = Engine(model, threads=threads, exact_int8=False)
    exact = Engine(model, threads=threads, session_config=EXACT_KERNELS)
    feeds = {name: _random(info.dtype, info.shape, name) for name, info in default.inputs.items()}
    timed = run_pairs(lambda: default.run(feeds), lambda: exact.run(feeds), pairs)
    before, after, ratio = timed.summary()
    return f"| {model.stem} | {before:.2f} | {after:.2f} | {ratio} |"


def _random(dtype: str, shape: tuple[int | str | None, ...], name: str) -> np.ndarray:
    """Noise for an image; the best class for a target."""
    sizes = [axis if isinstance(axis, int) else 1 if i < 2 else 224 for i, axis in enumerate(shape)]
    if name == "target":
        return np.full(sizes, -1, np.int64)
    return (100 * np.random.default_rng(0).standard_normal(sizes)).astype(dtype)


if __name__ == "__main__":
    main()
