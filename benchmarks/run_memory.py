"""Memory that a run of a graph takes, against what the server counts for it.

    python benchmarks/run_memory.py 4x1 8x1 8x4
    python benchmarks/run_memory.py --graph GRAPH 2x1

It loads and measures an explainable graph as the server does, and then runs it for its own image enlarged so many
times, with so many targets. It prints what each run took and what the server would have counted for it before. Without
GRAPH that is a segmentation of 128 channels at a quarter of the size, which takes images of any size.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import click
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from paired import camgraph, environment

from camgraph_server.config import ServerConfig
from camgraph_server.heap import keep_little
from camgraph_server.models.loading import load_explainer
from camgraph_server.models.measuring import Measuring, enlarged, measured

MIB = 1024 * 1024
_CHANNELS, _CLASSES, _STRIDE = 128, 4, 4


def segmentation() -> onnx.ModelProto:
    """A segmentation with random weights: two convolutions, and scores that are enlarged to the size of the image."""
    drawn = np.random.default_rng(0)
    weights = {
        "into": drawn.normal(0, 0.1, (_CHANNELS, 3, _STRIDE, _STRIDE)).astype(np.float32),
        "within": drawn.normal(0, 0.02, (_CHANNELS, _CHANNELS, 3, 3)).astype(np.float32),
        "out": drawn.normal(0, 0.1, (_CLASSES, _CHANNELS, 1, 1)).astype(np.float32),
        "times": np.array([1, 1, _STRIDE, _STRIDE], np.float32),
    }
    nodes = [
        helper.make_node("Conv", ["image", "into"], ["a"], strides=[_STRIDE, _STRIDE]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Conv", ["b", "within"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["d"]),
        helper.make_node("Conv", ["d", "out"], ["e"]),
        helper.make_node("Resize", ["e", "", "times"], ["scores"], mode="linear"),
    ]
    graph = helper.make_graph(
        nodes,
        "segmentation",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, "H", "W"])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", _CLASSES, "h", "w"])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def rows(graph: Path, runs: list[tuple[int, int]]) -> None:
    """Prints a row for each run."""
    explainer = load_explainer(ServerConfig(graph.parent, allow_uncertified=True), graph)
    memory, sample = measured(explainer), explainer.sample
    assert memory is not None, "this system does not tell what a process takes"
    assert sample is not None, "it has explained one"
    click.echo(f"{environment(1)}; {memory}\n\n| image | targets | measured | counted |\n|---|---:|---:|---:|")
    measuring = Measuring(explainer, sample)
    for times, targets in runs:
        image = enlarged(sample, explainer, times)
        cost = measuring.cost(image, targets)
        told = memory.of(image.tensor.size, targets)
        size = " x ".join(map(str, image.tensor.shape[2:]))
        click.echo(f"| {size} | {targets} | {cost.bytes / MIB:.0f} | {told / MIB:.0f} |")


@click.command(help=__doc__.partition("\n")[0])
@click.option("--graph", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="An explainable graph.")
@click.argument("runs", nargs=-1, required=True, metavar="TIMESxTARGETS...")
def main(graph: Path | None, runs: tuple[str, ...]) -> None:
    """Prints a Markdown table, in MiB."""
    keep_little()
    asked = [(int(times), int(targets)) for times, targets in (run.split("x") for run in runs)]
    with tempfile.TemporaryDirectory() as folder:
        if graph is None:
            model, graph = Path(folder) / "segmentation.onnx", Path(folder) / "explainable.onnx"
            onnx.save(segmentation(), model)
            camgraph("export", str(model), "-o", str(graph))
        rows(graph, asked)


if __name__ == "__main__":
    main()
