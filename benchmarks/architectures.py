"""What an explanation costs on well-known architectures, layer by layer, and where the time goes beyond the floor.

The networks are torchvision's with random weights: time does not depend on their values. Each is exported with its
certificate at the end of every stage (the last layer of each resolution; for a transformer the automatic, a middle and
an early block). Figures are medians of paired ratios against the plain model, as in export_vs_forward.py: with one
target, with five, and with the gradients switched off and on in a graph exported with --skippable. The last column
splits one explained run by kind of operator, from onnxruntime's own profile; "forward" is all that the plain model has.

    pip install torchvision
    python benchmarks/architectures.py resnet50 vgg16
"""

from __future__ import annotations

import collections
import json
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from paired import Feeds, camgraph, environment, random_image, ranks, run_pairs

from camgraph_runtime.manifest import manifest_from_metadata
from camgraph_runtime.run.engine import Engine, Threads
from camgraph_runtime.run.threads import available_cores

_MODELS = ("resnet50", "vgg16", "densenet121", "mobilenet_v3_large", "efficientnet_b0", "vit_b_16")
_PROFILED_RUNS = 20


@click.command(help=__doc__.partition("\n")[0])
@click.argument("models", nargs=-1)
@click.option("--pairs", type=click.IntRange(1), default=40, show_default=True, help="Pairs for each figure.")
@click.option("--threads", type=click.IntRange(1), default=available_cores, help="Threads of each session.")
@click.option("--cache", type=click.Path(path_type=Path), help="Folder that keeps the exported networks.")
def main(models: tuple[str, ...], pairs: int, threads: int, cache: Path | None) -> None:
    """Prints one line of a Markdown table for each layer."""
    click.echo(f"{environment(threads)}, {pairs} pairs, batch 1\n")
    click.echo(
        "| model | layer | K x h x w | floor | 1 target | 5 targets | switched off | switched on | forward ms "
        "| where the time goes |"
    )
    click.echo("|---|---|---|---:|---:|---:|---:|---:|---:|---|")
    with tempfile.TemporaryDirectory() as temporary:
        folder = cache or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for name in models or _MODELS:
            source = folder / f"{name}.onnx"
            if not source.exists():
                save_network(name, source)
            for layer in _stage_ends(source):
                click.echo(_line(source, layer, pairs, threads))


def random_network(name: str) -> torch.nn.Module:
    """A classifier of torchvision, or of timm where torchvision has none of the name, with random weights."""
    declare_operators()
    import torchvision  # type: ignore[import-untyped]  # noqa: PLC0415  it has no types; after the declarations

    torch.manual_seed(0)
    if hasattr(torchvision.models, name):
        module: torch.nn.Module = getattr(torchvision.models, name)(weights=None)
    else:
        import timm  # noqa: PLC0415 - where it is needed

        module = timm.create_model(name, pretrained=False)
    for parameter in module.parameters():
        if parameter.ndim > 1 and not parameter.any():
            torch.nn.init.normal_(parameter, std=0.02)  # some heads start at zero, and so would every gradient
    return module.eval()


@cache
def declare_operators() -> torch.library.Library:
    """Declares torchvision's compiled operators, which it wants when it is imported, and nobody needs here."""
    library = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]  # untyped in torch
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")  # type: ignore[no-untyped-call]  # as above
    return library


def save_network(name: str, path: Path) -> None:
    """Exports a classifier of `random_network`."""
    module = random_network(name)
    axes = {"input": {0: "N"}, "logits": {0: "N"}}
    names: dict[str, Any] = {"input_names": ["input"], "output_names": ["logits"], "dynamic_axes": axes}
    torch.onnx.export(module, (torch.randn(1, 3, 224, 224),), str(path), opset_version=17, dynamo=False, **names)


def _stage_ends(source: Path) -> list[dict[str, object]]:
    """Return the automatic layer and the last one of each other resolution; every few blocks if there is only one."""
    inspection = json.loads(camgraph("inspect", str(source), "--json"))
    layers = inspection["layers"]
    best = next(layer for layer in layers if layer["name"] == inspection["auto_layer"])
    by_size: dict[int, dict[str, object]] = {best["height"]: best}
    for layer in layers:
        by_size.setdefault(layer["height"], layer)
    if len(by_size) > 1:
        return list(by_size.values())
    return [best, layers[len(layers) // 2], layers[-1]]


def _line(source: Path, layer: dict[str, object], pairs: int, threads: int) -> str:
    with tempfile.TemporaryDirectory() as folder:
        flat, switched = Path(folder) / "flat.onnx", Path(folder) / "switched.onnx"
        camgraph("export", str(source), "-o", str(flat), "--layer", str(layer["name"]))
        camgraph("export", str(source), "-o", str(switched), "--layer", str(layer["name"]), "--skippable")
        plain = Engine(source, threads=Threads(threads))
        ratios = [_ratio(plain, flat, targets, pairs, threads) for targets in (1, 5)]
        ratios += [_ratio(plain, switched, 1, pairs, threads, explain=np.array(explain)) for explain in (False, True)]
        spent = _where(flat, threads)
    floor = 1 + float(str(layer["extra_cost"]))
    size = f"{layer['channels']} x {layer['height']} x {layer['width']}"
    times = " | ".join(f"{ratio:.2f}" for ratio, _ in ratios)
    return f"| {source.stem} | `{layer['name']}` | {size} | {floor:.2f} | {times} | {ratios[0][1]:.1f} | {spent} |"


def _ratio(
    plain: Engine, path: Path, targets: int, pairs: int, threads: int, **more: np.ndarray
) -> tuple[float, float]:
    """Return the median ratio of an explained to a plain run, and the milliseconds of a plain one."""
    graph = Engine(path, threads=Threads(threads))
    manifest = manifest_from_metadata(graph.metadata, path.name)
    image = random_image(graph, manifest.input, 1)
    feeds = {**image, **ranks(manifest, 1, targets), **more}
    timed = run_pairs(lambda: plain.run(image), lambda: graph.run(feeds), pairs)
    return float(np.median(timed.ratios)), float(np.median(timed.a_ms))


def _where(path: Path, threads: int) -> str:
    """Split the time of the backward part by kind of operator, in percent of the whole run."""
    import onnxruntime  # noqa: PLC0415 - after the engine, which switches its telemetry off

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.enable_profiling = threads, True
    options.profile_file_prefix, options.log_severity_level = str(path.with_suffix("")), 4
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    engine = Engine(path)
    manifest = manifest_from_metadata(engine.metadata, path.name)
    feeds: Feeds = {**random_image(engine, manifest.input, 1), **ranks(manifest, 1, 1)}
    for _ in range(_PROFILED_RUNS):
        session.run(None, dict(feeds))
    events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    spent: collections.Counter[str] = collections.Counter()
    for event in events:
        if event.get("cat") == "Node" and str(event["name"]).endswith("_kernel_time"):
            kind = str(event["args"]["op_name"]) if "camgraph" in event["name"] else "forward"
            spent[kind] += int(event["dur"])
    total = sum(spent.values())
    shares = [(kind, 100 * time / total) for kind, time in spent.most_common(6)]
    return ", ".join(f"{kind} {share:.0f}%" for kind, share in shares if share >= 0.5)


if __name__ == "__main__":
    main()
