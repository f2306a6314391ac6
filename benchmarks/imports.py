"""What a program waits for before its first result, beside the bare libraries under it, in pairs of fresh processes.

version        `camgraph --version` beside an interpreter that does nothing
client         importing the client beside importing `grpc.aio`
client, NumPy  importing the client beside importing `grpc.aio` and NumPy, in which its results come
explainer      import, load and first heatmap beside a script of the same that uses onnxruntime, NumPy and Pillow alone

    python benchmarks/imports.py --pairs 15
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import click
from paired import EXAMPLE_MODEL, ROOT, camgraph, environment, run_pairs

from camgraph_runtime.manifest import Manifest, manifest_from_metadata
from camgraph_runtime.run.engine import Engine
from camgraph_runtime.run.threads import available_cores

PHOTO = ROOT / "examples" / "photos" / "chelsea.png"

_EXPLAINER = """
from camgraph_runtime import Explainer

with Explainer({graph!r}) as explainer:
    heatmap = explainer.explain({photo!r}).explanations[0].heatmap
assert heatmap.shape == (300, 451), heatmap.shape
"""

# What somebody would write for this one model: no check of anything.
BARE_FUNCTION = """
import numpy as np
import onnxruntime
from PIL import Image

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = {threads}
session = onnxruntime.InferenceSession({graph!r}, options, providers=["CPUExecutionProvider"])

def explain():
    photo = Image.open({photo!r}).convert("RGB")
    scale = 256 / min(photo.size)
    width, height = (round(length * scale) for length in photo.size)
    left, top = (width - {size}) // 2, (height - {size}) // 2
    picture = photo.resize((width, height)).crop((left, top, left + {size}, top + {size}))
    image = (np.asarray(picture, np.float32) / 255 - {mean}) / {std}
    image = np.ascontiguousarray(image.transpose(2, 0, 1)[None], np.float32)
    feeds = {{{image_input!r}: image, {target_input!r}: np.array([[-1]])}}
    score, activations, weights = session.run([{score!r}, {activations!r}, {weights!r}], feeds)
    cells = np.maximum(np.einsum("k,khw->hw", weights[0, 0], activations[0]), 0)
    cells = (cells - cells.min()) / (1e-7 + cells.max())
    crop = Image.fromarray(cells.astype(np.float32)).resize(({size}, {size}), Image.Resampling.BILINEAR)
    canvas = Image.new("F", (width, height))
    canvas.paste(crop, (left, top))
    return np.asarray(canvas.resize(photo.size, Image.Resampling.BILINEAR))
"""
_BARE = BARE_FUNCTION + "assert explain().shape == (300, 451)"


class Programs:
    """Runs code in fresh processes, which find all modules compiled, as pip leaves them.

    Args:
        folder: Where the compiled modules are kept.

    """

    def __init__(self, folder: Path) -> None:
        self._environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        self._environment["PYTHONPYCACHEPREFIX"] = str(folder)

    def of(self, code: str, *arguments: str) -> Callable[[], None]:
        """The run of a program."""
        command = [sys.executable, "-c", code, *arguments]

        def run() -> None:
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=self._environment)

        return run


@click.command(help=__doc__.partition("\n")[0])
@click.option("--pairs", type=click.IntRange(1), default=15, show_default=True)
def main(pairs: int) -> None:
    """Prints one line of a Markdown table for each comparison."""
    click.echo(f"{environment(available_cores())}; {pairs} pairs\n")
    click.echo("| what | bare ms | camgraph ms | ratio (min-max) |\n|---|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as folder:
        graph = Path(folder) / "example.cam.onnx"
        camgraph("export", str(EXAMPLE_MODEL), "--preset", "imagenet", "-o", str(graph))
        programs = Programs(Path(folder))
        for name, bare, ours in _comparisons(programs, graph):
            bare_ms, our_ms, ratio = run_pairs(bare, ours, pairs).summary()
            click.echo(f"| {name} | {bare_ms:.0f} | {our_ms:.0f} | {ratio} |")


def _comparisons(programs: Programs, graph: Path) -> Iterator[tuple[str, Callable[[], None], Callable[[], None]]]:
    version = programs.of("from camgraph_cli.main import main; main()", "--version")
    client = programs.of("from camgraph_client import AsyncClient, Client")
    explainer = programs.of(_EXPLAINER.format(graph=str(graph), photo=str(PHOTO)))
    yield "version", programs.of("pass"), version
    yield "client", programs.of("import grpc.aio"), client
    yield "client, NumPy", programs.of("import grpc.aio, numpy"), client
    yield "explainer", programs.of(_BARE.format(photo=str(PHOTO), **bare_settings(graph, threads=0))), explainer


def bare_settings(graph: Path, threads: int = 1) -> dict[str, object]:
    """What the bare script must know of an explainable graph."""
    with Engine(graph) as engine:
        manifest: Manifest = manifest_from_metadata(engine.metadata)
    layer, spec = manifest.layers[0], manifest.input
    return {
        "graph": str(graph),
        "threads": threads,
        "size": spec.tensor.shape[-1],
        "mean": list(spec.mean),
        "std": list(spec.std),
        "image_input": spec.tensor.name,
        "target_input": manifest.target.target_input,
        "score": manifest.target.target_score_output,
        "activations": layer.activations_tensor,
        "weights": layer.weights_tensor,
    }


if __name__ == "__main__":
    main()
