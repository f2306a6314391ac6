"""Grad-CAM on a GPU by an explainable graph and by PyTorch: do they agree, and how long does each take?

    python benchmarks/gpu_autograd.py --batch 1 --batch 8

Both take a batch in the host's memory and give the raw maps of each image's best class there, in float32 without TF32.
PyTorch runs forward, differentiates the score with autograd, and weighs the activations, all on the GPU. The graph
gives activations and weights, which NumPy weighs. The networks are torchvision's, with random weights of a fixed seed.

"Difference" is the relative L2 distance of the maps from those of PyTorch in float64, of the graph and of PyTorch in
float32. The ratio is the graph's time over PyTorch's, as the median of the pairs.

It needs the extras `gpu` and `torch`, PyTorch with CUDA, and torchvision.
"""

from __future__ import annotations

import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
import torchvision
from paired import environment, place, ranks, run_pairs

from camgraph_exporter import export
from camgraph_runtime.manifest import manifest_from_metadata
from camgraph_runtime.run.engine import Engine

_LAYERS = {"resnet50": "layer4", "convnext_tiny": "features", "mobilenet_v3_large": "features", "vgg16": "features.29"}
"""The networks, and the module whose output is the layer that `auto` takes."""

_SIDE = 224


@dataclass(frozen=True)
class Autograd:
    """Grad-CAM by PyTorch at the output of a module."""

    model: torch.nn.Module
    layer: str

    def maps(self, images: np.ndarray, dtype: torch.dtype = torch.float32) -> np.ndarray:
        """The raw maps [N, h, w] of the best class of each of the images, float32 [N, 3, H, W]."""
        kept: list[torch.Tensor] = []
        hook = self.model.get_submodule(self.layer).register_forward_hook(lambda *args: kept.append(args[2]))
        try:
            scores = self.model(torch.from_numpy(images).to("cuda", dtype))
        finally:
            hook.remove()
        [gradient] = torch.autograd.grad(scores.max(dim=1).values.sum(), kept)
        maps: np.ndarray = (kept[0] * gradient.mean((2, 3), keepdim=True)).sum(1).detach().cpu().numpy()
        return maps


@dataclass(frozen=True)
class Graph:
    """Grad-CAM by the explainable graph of a file."""

    engine: Engine

    def maps(self, images: np.ndarray) -> np.ndarray:
        """As `Autograd.maps`."""
        manifest = manifest_from_metadata(self.engine.metadata, self.engine.name)
        [layer] = manifest.layers
        feeds = {manifest.input.tensor.name: images, **ranks(manifest, len(images), 1)}
        found = self.engine.run(feeds, [layer.activations_tensor, layer.weights_tensor])
        maps: np.ndarray = np.einsum(
            "nkhw,nk->nhw", found[layer.activations_tensor], found[layer.weights_tensor][:, 0], optimize=True
        )
        return maps


@click.command(help=__doc__.partition("\n")[0])
@click.option("--network", "networks", multiple=True, type=click.Choice(list(_LAYERS)), default=tuple(_LAYERS))
@click.option("--batch", "batches", multiple=True, type=click.IntRange(1), default=(1, 8, 32), show_default=True)
@click.option("--pairs", type=click.IntRange(1), default=50, show_default=True, help="Pairs of runs for each line.")
def main(networks: tuple[str, ...], batches: tuple[int, ...], pairs: int) -> None:
    """Prints one line of a Markdown table for each network and batch size."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    click.echo(f"{environment(1)}, PyTorch {torch.__version__}, {place('cuda')}, {pairs} pairs\n")
    click.echo("| network | batch | PyTorch ms | graph ms | ratio (min-max) | difference | PyTorch's |")
    click.echo("|---|---:|---:|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as folder:
        for name in networks:
            _measure(name, Path(folder) / f"{name}.onnx", batches, pairs)


def _measure(name: str, path: Path, batches: tuple[int, ...], pairs: int) -> None:
    torch.manual_seed(0)
    model: Any = torchvision.models.get_model(name, weights=None).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of PyTorch's exporter
        export(model, path, input_size=(_SIDE, _SIDE))
    graph, peer = Graph(Engine(path, device="cuda")), Autograd(model.cuda(), _LAYERS[name])
    for batch in batches:
        images = np.random.default_rng(batch).standard_normal((batch, 3, _SIDE, _SIDE)).astype(np.float32)
        exact = Autograd(model.double(), _LAYERS[name]).maps(images, torch.float64)
        model.float()
        differences = [_distance(side.maps(images), exact) for side in (graph, peer)]
        timed = run_pairs(lambda x=images: peer.maps(x), lambda x=images: graph.maps(x), pairs)  # type: ignore[misc]  # defaults bind
        slow, fast, ratio = timed.summary()
        here, there = (f"{difference:.1e}" for difference in differences)
        click.echo(f"| {name} | {batch} | {slow:.2f} | {fast:.2f} | {ratio} | {here} | {there} |")


def _distance(found: np.ndarray, exact: np.ndarray) -> float:
    return float(np.linalg.norm(found - exact) / np.linalg.norm(exact))


if __name__ == "__main__":
    main()
