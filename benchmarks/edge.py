"""What one photo costs on a small machine: camgraph, a bare script on onnxruntime, and grad-cam on PyTorch.

Every figure is of a fresh process on one thread, run in turn with the others: CPU seconds from the start of the process
to the first heatmap, the largest resident size until then, and CPU milliseconds for each photo after that. The size
is that of the installed packages' files without their compiled modules. The bare script is for this one model and
checks nothing. grad-cam takes torchvision's EfficientNet-B0 with random weights, which is about as large as the
EfficientNet-Lite0 of the others; it is left out where grad-cam, torchvision or PyTorch cannot be imported.

    pip install --target peers --no-deps grad-cam ttach torchvision
    python benchmarks/edge.py --runs 9 --peers peers
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution, distributions
from pathlib import Path

import click
from imports import BARE_FUNCTION, bare_settings
from packaging.requirements import Requirement
from paired import EXAMPLE_MODEL, ROOT, camgraph, environment

PHOTO = ROOT / "examples" / "photos" / "chelsea.png"
_MB = 1e6

_CAMGRAPH = """
from camgraph_runtime import Explainer, Threads
explainer = Explainer({graph!r}, threads=Threads(1))
def explain():
    return explainer.explain({photo!r}).explanations[0].heatmap
"""
_GRAD_CAM = """
import torch
torch.set_num_threads(1)
library = torch.library.Library("torchvision", "DEF")  # operators that are not needed, but must be declared
library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
import numpy, torchvision
from PIL import Image
from pytorch_grad_cam import GradCAM
model = torchvision.models.efficientnet_b0().eval()
prepare = torchvision.models.EfficientNet_B0_Weights.IMAGENET1K_V1.transforms()
method = GradCAM(model, [model.features[-1]])
def explain():
    photo = Image.open({photo!r}).convert("RGB")
    return numpy.asarray(Image.fromarray(method(prepare(photo)[None], None)[0]).resize(photo.size))
"""
_MEASURE = """
import json, pathlib, re, time
first = explain()
cold = time.process_time()
peak = int(re.findall(r"VmHWM:\\s*(\\d+)", pathlib.Path("/proc/self/status").read_text())[0]) * 1024
times = []
for _ in range({photos}):
    start = time.process_time()
    explain()
    times.append(time.process_time() - start)
print(json.dumps([cold, peak, sorted(times)[len(times) // 2]]))
"""


@dataclass(frozen=True)
class Subject:
    """What is measured: its name, its program, and the distributions that it needs."""

    name: str
    code: str
    needs: tuple[str, ...]


@click.command(help=__doc__.partition("\n")[0])
@click.option("--runs", type=click.IntRange(1), default=9, show_default=True, help="Fresh processes for each figure.")
@click.option("--photos", type=click.IntRange(1), default=20, show_default=True, help="Photos in each process.")
@click.option("--peers", type=click.Path(path_type=Path, exists=True), help="Folder with more packages.")
def main(runs: int, photos: int, peers: Path | None) -> None:
    """Prints one line of a Markdown table for each subject."""
    click.echo(f"{environment(1)}; {runs} processes of {photos} photos\n")
    with tempfile.TemporaryDirectory() as folder:
        graph = Path(folder) / "example.cam.onnx"
        camgraph("export", str(EXAMPLE_MODEL), "--preset", "imagenet", "-o", str(graph))
        variables = _variables(Path(folder), peers)
        subjects = [subject for subject in _subjects(graph) if _starts(subject, variables)]
        figures: dict[str, list[list[float]]] = {subject.name: [] for subject in subjects}
        for _ in range(runs):
            for subject in subjects:
                figures[subject.name].append(_measured(subject, photos, variables))
    click.echo("| program | installed MB | peak MB | CPU s to the first heatmap | CPU ms for a photo |")
    click.echo("|---|---:|---:|---:|---:|")
    for subject in subjects:
        cold, peak, each = (statistics.median(values) for values in zip(*figures[subject.name], strict=True))
        size = installed_bytes(subject.needs, [peers] if peers else []) / _MB
        click.echo(f"| {subject.name} | {size:.0f} | {peak / _MB:.0f} | {cold:.2f} | {1e3 * each:.1f} |")
    bare, ours = figures["onnxruntime alone"], figures["camgraph"]
    ratios = [statistics.median(b[i] / a[i] for a, b in zip(bare, ours, strict=True)) for i in range(3)]
    click.echo(
        f"\ncamgraph over onnxruntime alone: CPU to the first heatmap {ratios[0]:.2f}, "
        f"peak memory {ratios[1]:.2f}, a photo {ratios[2]:.2f}"
    )


def _subjects(graph: Path) -> list[Subject]:
    bare = BARE_FUNCTION.format(photo=str(PHOTO), **bare_settings(graph))
    return [
        Subject("onnxruntime alone", bare, ("onnxruntime", "numpy", "pillow")),
        Subject("camgraph", _CAMGRAPH.format(graph=str(graph), photo=str(PHOTO)), ("camgraph", "onnxruntime")),
        Subject("grad-cam on PyTorch", _GRAD_CAM.format(photo=str(PHOTO)), ("grad-cam", "torch", "torchvision")),
    ]


def _variables(folder: Path, peers: Path | None) -> dict[str, str]:
    """The environment of the processes, which find all modules compiled, as pip leaves them."""
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    variables |= {"PYTHONPYCACHEPREFIX": str(folder), "ORT_DISABLE_TELEMETRY": "1", "OMP_NUM_THREADS": "1"}
    return variables | ({"PYTHONPATH": str(peers)} if peers else {})


def _starts(subject: Subject, variables: dict[str, str]) -> bool:
    """Runs a subject once, so that its modules are compiled."""
    command = [sys.executable, "-c", subject.code + "explain()"]
    outcome = subprocess.run(command, capture_output=True, text=True, check=False, env=variables)
    if outcome.returncode:
        click.echo(f"{subject.name} is left out: {outcome.stderr.strip().splitlines()[-1]}\n")
    return outcome.returncode == 0


def _measured(subject: Subject, photos: int, variables: dict[str, str]) -> list[float]:
    code = subject.code + _MEASURE.format(photos=photos)
    outcome = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=variables)
    values: list[float] = json.loads(outcome.stdout.splitlines()[-1])
    return values


def installed_bytes(names: Iterable[str], folders: Sequence[Path]) -> int:
    """Bytes of the files of distributions and of all that they require, without compiled modules.

    Args:
        names: The distributions.
        folders: Where to look before the environment.

    """
    waiting, found = list(names), dict[str, int]()
    others = {item.name.lower(): item for item in distributions(path=[str(folder) for folder in folders])}
    while waiting:
        name = waiting.pop().lower()
        if name in found:
            continue
        try:
            package = others[name] if name in others else distribution(name)
        except PackageNotFoundError:
            continue
        paths = [Path(str(package.locate_file(file))) for file in package.files or () if file.suffix != ".pyc"]
        if name == "camgraph":
            paths = [path for folder in ROOT.glob("*/camgraph*") for path in folder.rglob("*") if path.suffix != ".pyc"]
        found[name] = sum(path.stat().st_size for path in paths if path.is_file())
        # Of this package itself, what is installed may be older than its own declaration.
        required = [
            Requirement(text) for text in (_own_requirements() if name == "camgraph" else package.requires or ())
        ]
        waiting += [item.name for item in required if item.marker is None or item.marker.evaluate({"extra": ""})]
    return sum(found.values())


def _own_requirements() -> list[str]:
    listed: list[str] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    return listed


if __name__ == "__main__":
    main()
