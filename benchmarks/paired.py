"""What the benchmarks share: paired timing, exports at several layers, and the facts that belong beside a figure."""

from __future__ import annotations

import datetime
import json
import math
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import distributions
from pathlib import Path

import numpy as np

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.errors import CamgraphError
from camgraph_runtime.run.engine import Engine
from camgraph_runtime.run.providers import Device

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE_MODEL = ROOT / "examples" / "models" / "efficientnet_lite0.onnx"
WARM_UP = 3
# Middle and early stand for the layers after which about this share of the network's arithmetic lies.
_SHARES = {"middle": 0.4, "early": 0.8}

Feeds = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Layer:
    """A layer to measure; `extra_cost` is the share of the model's arithmetic after it, NaN if unknown."""

    name: str
    extra_cost: float = math.nan
    label: str = ""


@dataclass(frozen=True)
class Pairs:
    """Times of A and B in milliseconds, run in turn: element i of both belongs to the same pair."""

    a_ms: list[float]
    b_ms: list[float]

    @property
    def ratios(self) -> list[float]:
        """B over A, pair by pair: what slows both runs of a pair down cancels."""
        return [b / a for a, b in zip(self.a_ms, self.b_ms, strict=True)]

    def summary(self) -> tuple[float, float, str]:
        """Median time of A, median time of B, and the ratio as `median (smallest-largest)`."""
        ratios = self.ratios
        spread = f"{statistics.median(ratios):.3f} ({min(ratios):.2f}-{max(ratios):.2f})"
        return statistics.median(self.a_ms), statistics.median(self.b_ms), spread


def run_pairs(
    a: Callable[[], object], b: Callable[[], object], count: int, clock: Callable[[], float] = time.perf_counter
) -> Pairs:
    """Times `count` pairs after a warm-up; every second pair runs B first, so that neither has the better place."""
    for _ in range(WARM_UP):
        a()
        b()
    pairs = Pairs([], [])
    for number in range(count):
        if number % 2:
            pairs.b_ms.append(_milliseconds(b, clock))
            pairs.a_ms.append(_milliseconds(a, clock))
        else:
            pairs.a_ms.append(_milliseconds(a, clock))
            pairs.b_ms.append(_milliseconds(b, clock))
    return pairs


def _milliseconds(run: Callable[[], object], clock: Callable[[], float]) -> float:
    start = clock()
    run()
    return 1e3 * (clock() - start)


def camgraph(*arguments: str) -> str:
    """Runs a camgraph command of this environment and returns what it prints.

    Raises:
        CamgraphError: the command failed; the message is its own.
    """
    command = [str(Path(sys.executable).with_name("camgraph")), *arguments]
    outcome = subprocess.run(command, capture_output=True, text=True, check=False)
    if outcome.returncode != 0:
        raise CamgraphError(outcome.stderr.removeprefix("Error: ").strip())
    return outcome.stdout


def named_layers(model: Path, names: tuple[str, ...]) -> list[Layer]:
    """The layers to measure: those that were named, or else the last, a middle and an early one."""
    inspection = json.loads(camgraph("inspect", str(model), "--json"))
    candidates = [Layer(item["name"], item["extra_cost"]) for item in inspection["layers"]]
    known = {layer.name: layer for layer in candidates}
    if names:
        return [known.get(name, Layer(name)) for name in names]
    last = replace(known[inspection["auto_layer"]], label="last")
    return [last, *(replace(_nearest(candidates, share), label=label) for label, share in _SHARES.items())]


def _nearest(candidates: list[Layer], share: float) -> Layer:
    return min(candidates, key=lambda layer: abs(layer.extra_cost - share))


def random_image(engine: Engine, spec: pb.InputSpec, batch: int, seed: int = 0) -> Feeds:
    """Normal noise in the shape of the image input; an open axis gets 224."""
    shape = [axis if isinstance(axis, int) else 224 for axis in engine.inputs[spec.tensor.name].shape[1:]]
    noise = np.random.default_rng(seed).standard_normal([batch, *shape])
    return {spec.tensor.name: noise.astype(spec.tensor.dtype)}


def ranks(manifest: pb.Manifest, batch: int, targets: int) -> Feeds:
    """The `targets` best classes of every image."""
    return {manifest.target.target_input: np.tile(-1 - np.arange(targets, dtype=np.int64), (batch, 1))}


def environment(threads: int) -> str:
    """Date, processor, threads and versions in one line."""
    installed = {item.name: item.version for item in reversed([*distributions()])}  # the first of a name is imported
    wanted = ("camgraph", "onnxruntime", "onnxruntime-gpu", "numpy")
    packages = ", ".join(f"{name} {installed[name]}" for name in wanted if name in installed)
    date = datetime.datetime.now(datetime.UTC).date()
    return f"{date}, {_processor()}, {threads} threads, Python {platform.python_version()}, {packages}"


def place(device: Device) -> str:
    """The device; of CUDA the name, memory and driver of the first GPU, as NVIDIA's tool says them."""
    if not device.startswith("cuda"):
        return device
    command = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    name, memory, driver = said.splitlines()[0].split(", ")
    return f"{name} ({memory}), driver {driver}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
