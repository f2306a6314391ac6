"""The same photo and networks with camgraph and with what else there is: an image in, a heatmap out.

Networks have random weights, which do not change what they cost: torchvision's, and timm's EfficientNet-Lite0. Every
program gets the same decoded photo and makes one heatmap of the photo's size per class; those on onnxruntime get the
same ONNX file. All run in one process on the same number of threads, in pairs with camgraph; times are CPU time, the
ratio is that of the other program to camgraph. The layers are the last and a middle one. Memory is what a fresh process
takes at most beyond its imports, from loading the network to the second photo, with five classes (read from /proc, on
Linux). What a peer cannot do stands in its row. Peers that cannot be imported are left out.

    pip install --target peers --no-deps grad-cam ttach torchcam captum torchvision timm onnx-ad onnxsim
    PYTHONPATH=peers python benchmarks/peers.py --pairs 7
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import re
import tempfile
import time
from collections.abc import Iterator, Sequence
from importlib.metadata import distributions
from importlib.util import find_spec
from pathlib import Path

import click
import numpy as np
from edge import installed_bytes
from paired import ROOT, camgraph, environment, run_pairs
from peer_programs import PEERS, Subject, reason
from PIL import Image

_PHOTO = ROOT / "examples" / "photos" / "chelsea.png"
# Of each network the module of the last map and of a middle one, and the tensors of both in its ONNX file.
_NETWORKS = {
    "resnet50": (
        ("layer4", "/layer4/layer4.2/relu_2/Relu_output_0"),
        ("layer3", "/layer3/layer3.5/relu_2/Relu_output_0"),
    ),
    "mobilenet_v3_large": (
        ("features.16", "/features/features.16/features.16.2/HardSwish_output_0"),
        ("features.12.block.3", "/features/features.12/block/block.3/block.3.0/Conv_output_0"),
    ),
    "densenet121": (
        ("features.norm5", "/features/norm5/BatchNormalization_output_0"),
        ("features.transition3.conv", "/features/transition3/conv/Conv_output_0"),
    ),
    "efficientnet_lite0": (
        ("bn2", "/bn2/act/Clip_output_0"),
        ("blocks.4.2", "/blocks/blocks.4/blocks.4.2/Add_output_0"),
    ),
}
_CLASSES = (1, 5)
_PACKAGES = ("grad-cam", "torchcam", "captum", "torch", "torchvision", "timm", "onnx-ad", "onnxsim", "onnx")
_MB = 1e6


@click.command(help=__doc__.partition("\n")[0])
@click.argument("networks", nargs=-1)
@click.option("--pairs", type=click.IntRange(1), default=7, show_default=True)
@click.option("--threads", type=click.IntRange(1), default=1, show_default=True)
def main(networks: Sequence[str], pairs: int, threads: int) -> None:
    """Prints what each program takes on disk, and a line for each network, layer, number of classes and peer."""
    peers = [name for name, peer in PEERS.items() if all(find_spec(item.split(".")[0]) for item in peer.modules)]
    versions = {item.name.lower(): item.version for item in distributions()}
    found = ", ".join(f"{name} {versions[name]}" for name in _PACKAGES if name in versions)
    click.echo(f"{environment(threads)}, {found}; {pairs} pairs\n")
    click.echo("| program | installed MB |\n|---|---:|")
    folders = [Path(folder) for folder in os.environ.get("PYTHONPATH", "").split(os.pathsep) if folder]
    for name in peers:
        click.echo(f"| {name} | {installed_bytes(PEERS[name].packages, folders) / _MB:.0f} |")
    click.echo(
        "\n| network | layer | classes | peer | camgraph ms | peer ms | ratio (min-max) | camgraph MB | peer MB |"
    )
    click.echo("|---|---|---:|---|---:|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as folder:
        for network in networks or _NETWORKS:
            for line in _lines(network, peers, Path(folder), pairs, threads):
                click.echo(line)


def _lines(network: str, peers: Sequence[str], folder: Path, pairs: int, threads: int) -> Iterator[str]:
    from architectures import save_network  # noqa: PLC0415 - a child that measures memory needs no PyTorch

    source = folder / f"{network}.onnx"
    save_network(network, source)
    photo = np.asarray(Image.open(_PHOTO).convert("RGB"))
    for (module, tensor), name in zip(_NETWORKS[network], ("last", "middle"), strict=True):
        graph = folder / f"{network}.{name}.onnx"
        camgraph("export", str(source), "--preset", "imagenet", "--layer", tensor, "-o", str(graph))
        for count in _CLASSES:
            classes = tuple(int(number) for number in np.linspace(1, 900, count))
            subject = Subject(network, source, graph, module, tensor, photo, classes, threads)
            ours = PEERS["camgraph"].build(subject)
            is_last = count == _CLASSES[-1]
            our_memory = _memory("camgraph", subject) if is_last else ""
            for peer in peers[1:]:
                start = f"| {network} | {name} `{module}` | {count} | {peer} "
                try:
                    program = PEERS[peer].build(subject)
                    program()
                except Exception as error:  # whatever a peer raises on what it cannot do is its row
                    yield f"{start}| does not: {type(error).__name__}: {reason(error)} | | | | |"
                    continue
                our_ms, peer_ms, ratio = run_pairs(ours, program, pairs, time.process_time).summary()
                memory = f"{our_memory} | {_memory(peer, subject) if is_last else ''}"
                yield f"{start}| {our_ms:.0f} | {peer_ms:.0f} | {ratio} | {memory} |"


def _memory(peer: str, subject: Subject) -> str:
    """MB that a fresh process takes beyond its imports."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return f"{pool.apply(_growth, (peer, subject)) / _MB:.0f}"


def _growth(peer: str, subject: Subject) -> int:
    if "torch" in PEERS[peer].packages:
        importlib.import_module("architectures").declare_operators()
    for module in PEERS[peer].modules:
        importlib.import_module(module)
    before = _resident("VmRSS")
    program = PEERS[peer].build(subject)
    for _ in range(2):
        program()
    return _resident("VmHWM") - before


def _resident(field: str) -> int:
    return int(re.findall(rf"{field}:\s*(\d+) kB", Path("/proc/self/status").read_text(encoding="utf-8"))[0]) * 1024


if __name__ == "__main__":
    main()
