"""The same photo and networks with camgraph and with what else there is: an image in, a heatmap out.

torchvision's networks with random weights, which do not change what they cost. Every program gets the same decoded
photo and makes one heatmap of the photo's size per class. All run in one process on the same number of threads, in
pairs with camgraph; times are CPU time, the ratio is that of the other program to camgraph. The layers are the last and
a middle one. Peers that cannot be imported are left out.

    pip install --target peers --no-deps grad-cam ttach torchcam captum torchvision
    PYTHONPATH=peers python benchmarks/peers.py --pairs 7
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from architectures import save_network
from numpy.typing import NDArray
from paired import ROOT, camgraph, environment, run_pairs
from PIL import Image

from camgraph_runtime import Explainer, Target, Threads

_PHOTO = ROOT / "examples" / "photos" / "chelsea.png"
# Of each network the module of the last map and of a middle one, and the middle one's tensor in its ONNX file.
_NETWORKS = {
    "resnet50": ("layer4", "layer3", "/layer3/layer3.5/relu_2/Relu_output_0"),
    "mobilenet_v3_large": (
        "features.16",
        "features.12.block.3",
        "/features/features.12/block/block.3/block.3.0/Conv_output_0",
    ),
    "densenet121": ("features.norm5", "features.transition3.conv", "/features/transition3/conv/Conv_output_0"),
    "efficientnet_b0": ("features.8", "features.5", "/features/features.5/features.5.2/Add_output_0"),
}
_CLASSES = (1, 5)
_SIDE = 224

Heatmaps = list[NDArray[np.float32]]
Program = Callable[[], Heatmaps]


@click.command(help=__doc__.partition("\n")[0])
@click.argument("networks", nargs=-1)
@click.option("--pairs", type=click.IntRange(1), default=7, show_default=True)
@click.option("--threads", type=click.IntRange(1), default=1, show_default=True)
def main(networks: Sequence[str], pairs: int, threads: int) -> None:
    """Prints one line of a Markdown table for each network, layer and number of classes."""
    torch.set_num_threads(threads)
    click.echo(f"{environment(threads)}, torch {torch.__version__}; {pairs} pairs\n")
    click.echo("| network | layer | classes | camgraph ms | peer | peer ms | ratio (min-max) |")
    click.echo("|---|---|---:|---:|---|---:|---:|")
    photo = np.asarray(Image.open(_PHOTO).convert("RGB"))
    with tempfile.TemporaryDirectory() as folder:
        for network in networks or _NETWORKS:
            for line in _lines(network, photo, Path(folder), pairs, threads):
                click.echo(line)


def _lines(network: str, photo: NDArray[np.uint8], folder: Path, pairs: int, threads: int) -> Iterator[str]:
    last, middle, tensor = _NETWORKS[network]
    source = folder / f"{network}.onnx"
    module = save_network(network, source)
    for name, layer, option in (("last", last, "auto"), ("middle", middle, tensor)):
        graph = folder / f"{network}.{name}.onnx"
        camgraph("export", str(source), "--preset", "imagenet", "--layer", option, "-o", str(graph))
        explainer = Explainer(graph, threads=Threads(threads))
        for count in _CLASSES:
            classes = [int(number) for number in np.linspace(1, 900, count)]
            ours = _camgraph(explainer, photo, classes)
            for peer, program in _peers(module, layer, photo, classes):
                our_ms, peer_ms, ratio = run_pairs(ours, program, pairs, time.process_time).summary()
                figures = f"{our_ms:.0f} | {peer} | {peer_ms:.0f} | {ratio}"
                yield f"| {network} | {name} `{layer}` | {count} | {figures} |"


def _camgraph(explainer: Explainer, photo: NDArray[np.uint8], classes: Sequence[int]) -> Program:
    targets = [Target.index(number) for number in classes]
    return lambda: [item.heatmap for item in explainer.explain(photo, targets=targets).explanations]


def _peers(
    module: torch.nn.Module, layer: str, photo: NDArray[np.uint8], classes: Sequence[int]
) -> Iterator[tuple[str, Program]]:
    """Each peer that is installed, with the program of its documentation."""
    part = module.get_submodule(layer)
    with suppress(ImportError):
        from pytorch_grad_cam import GradCAM  # type: ignore[import-untyped]  # noqa: PLC0415 - left out where missing
        from pytorch_grad_cam.utils.model_targets import (  # type: ignore[import-untyped]  # noqa: PLC0415 - as above
            ClassifierOutputTarget,
        )

        method = GradCAM(model=module, target_layers=[part])

        def grad_cam() -> Heatmaps:
            image = _input(photo)
            return [_on_photo(method(image, [ClassifierOutputTarget(number)])[0], photo) for number in classes]

        yield "grad-cam", grad_cam
        method.activations_and_grads.release()
    with suppress(ImportError):
        from torchcam.methods import GradCAM as TorchCam  # type: ignore[import-untyped]  # noqa: PLC0415 - as above

        extractor = TorchCam(module, target_layer=layer)

        def torch_cam() -> Heatmaps:
            image, maps = _input(photo), []
            for number in classes:
                scores = module(image)
                maps.append(_on_photo(extractor(number, scores)[0][0].numpy(), photo))
            return maps

        yield "torch-cam", torch_cam
        extractor.remove_hooks()
    with suppress(ImportError):
        from captum.attr import LayerGradCam  # type: ignore[import-untyped]  # noqa: PLC0415 - as above

        attribution = LayerGradCam(module, part)

        def captum() -> Heatmaps:
            image = _input(photo)
            found = [attribution.attribute(image, number, relu_attributions=True) for number in classes]
            return [_on_photo(item[0, 0].detach().numpy(), photo) for item in found]

        yield "captum", captum


def _input(photo: NDArray[np.uint8]) -> torch.Tensor:
    """The input tensor that torchvision's own transforms make: shorter side 256, the middle 224, mean and std."""
    image = Image.fromarray(photo)
    factor = 256 / min(image.size)
    width, height = (round(side * factor) for side in image.size)
    left, top = (width - _SIDE) // 2, (height - _SIDE) // 2
    crop = image.resize((width, height), Image.Resampling.BILINEAR).crop((left, top, left + _SIDE, top + _SIDE))
    pixels = torch.from_numpy(np.asarray(crop).transpose(2, 0, 1).copy()).float() / 255
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    return ((pixels - mean[:, None, None]) / std[:, None, None])[None]


def _on_photo(cells: Any, photo: NDArray[np.uint8]) -> NDArray[np.float32]:
    """A map as large as the photo; where the crop lies on it is not minded."""
    image = Image.fromarray(np.asarray(cells, np.float32))
    return np.asarray(image.resize(photo.shape[1::-1], Image.Resampling.BILINEAR))


if __name__ == "__main__":
    main()
