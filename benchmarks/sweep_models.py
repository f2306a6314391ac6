"""Exports every classifier of torchvision and timm with random weights and says: pass, refused with a reason, or wrong.

Each model runs in a process of its own (sweep_one.py) with one thread and a time limit. Results are appended to a file
of JSON lines as they come; a second call goes on where the first one stopped. Needs torch, onnxscript, torchvision and
timm.

    python benchmarks/sweep_models.py --torchvision --timm benchmarks/sweep_timm.txt
    python benchmarks/sweep_models.py --all-timm --report docs/model-sweep.md
"""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

_WORKER = Path(__file__).with_name("sweep_one.py")
_LISTING = """
import json, sys, torch
library = torch.library.Library("torchvision", "DEF")
for name in ("nms", "qnms"):
    library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
import timm
from torchvision import models
print(json.dumps({"timm": timm.list_models(), "torchvision": models.list_models(models)}))
"""
_VERDICTS = ("pass", "refused", "wrong", "fault", "timeout", "skipped")
Row = dict[str, Any]


@click.command(help=__doc__.partition("\n")[0])
@click.option("--torchvision", is_flag=True, help="Run all classifiers of torchvision.")
@click.option(
    "--timm", "sample", type=click.Path(exists=True, path_type=Path), help="File with names of timm's models."
)
@click.option("--all-timm", is_flag=True, help="Run all models of timm.")
@click.option("--results", type=click.Path(path_type=Path), default=Path("model-sweep.jsonl"), show_default=True)
@click.option("--report", type=click.Path(path_type=Path), help="Write the table to this Markdown file.")
@click.option("--timeout", type=click.IntRange(1), default=600, show_default=True, help="Seconds a model may take.")
@click.option("--again", multiple=True, type=click.Choice(_VERDICTS), help="Run models of this verdict again.")
@click.option("--exporter", type=click.Choice(["trace", "record"]), default="trace", show_default=True)
@click.option("--max-parameters", type=float, default=400e6, show_default=True)
def main(
    torchvision: bool,
    sample: Path | None,
    all_timm: bool,
    results: Path,
    report: Path | None,
    timeout: int,
    again: tuple[str, ...],
    exporter: str,
    max_parameters: float,
) -> None:
    """Runs what is missing, then prints the table."""
    rows = _read(results)
    for verdict in again:
        rows = {key: row for key, row in rows.items() if row["verdict"] != verdict}
    wanted = _models(torchvision, sample, all_timm)
    missing = [key for key in wanted if key not in rows]
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("models", total=len(missing))
        for library, model in missing:
            bar.update(task, description=f"{library} {model}")
            row = _run(library, model, exporter, timeout, max_parameters)
            rows[library, model] = row
            with results.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
            bar.advance(task)
    table = _report([row for key, row in sorted(rows.items()) if not wanted or key in wanted])
    click.echo(table)
    if report is not None:
        report.write_text(table, encoding="utf-8")


def _read(path: Path) -> dict[tuple[str, str], Row]:
    """Return the last result of each model."""
    if not path.exists():
        return {}
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    return {(row["library"], row["model"]): row for row in rows}


def _models(torchvision: bool, sample: Path | None, all_timm: bool) -> list[tuple[str, str]]:
    wanted: list[tuple[str, str]] = []
    if sample is not None:
        lines = sample.read_text(encoding="utf-8").splitlines()
        wanted += [("timm", line.strip()) for line in lines if line.strip() and not line.startswith("#")]
    if torchvision or all_timm:
        output = subprocess.run([sys.executable, "-c", _LISTING], capture_output=True, text=True, check=True).stdout
        listed = json.loads(output.splitlines()[-1])
        wanted += [("torchvision", name) for name in listed["torchvision"]] if torchvision else []
        wanted += [("timm", name) for name in listed["timm"]] if all_timm else []
    return list(dict.fromkeys(wanted))


def _run(library: str, model: str, exporter: str, timeout: int, max_parameters: float) -> Row:
    command = [sys.executable, str(_WORKER), "--library", library, "--model", model]
    command += ["--exporter", exporter, "--max-parameters", str(max_parameters)]
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    row: Row = {"library": library, "model": model, "exporter": exporter, "errors": {}, "seconds": float(timeout)}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=timeout, env={**os.environ, **threads}, check=False
        )
    except subprocess.TimeoutExpired:
        return {**row, "verdict": "timeout", "reason": f"more than {timeout} s"}
    try:
        result: Row = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, json.JSONDecodeError):
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]
        return {**row, "verdict": "fault", "reason": f"exit code {done.returncode}: {last}"}
    return result


def _report(rows: list[Row]) -> str:
    counts = Counter(row["verdict"] for row in rows)
    judged = sum(counts[verdict] for verdict in ("pass", "refused", "wrong", "fault"))
    lines = ["# Model sweep", "", _preamble(), ""]
    lines += [f"{len(rows)} models: " + ", ".join(f"{counts[verdict]} {verdict}" for verdict in _VERDICTS) + ".", ""]
    if judged:
        worst = max((max(row["errors"].values(), default=0.0) for row in rows if row["verdict"] == "pass"), default=0.0)
        share = (counts["refused"] + counts["fault"]) / judged
        lines += [f"Refused: {share:.1%} of those judged. Largest error of a model that passed: {worst:.1e}.", ""]
    lines += ["| library | model | verdict | auto layer (K x h x w) | layers | largest error | s | remarks |"]
    lines += ["|---|---|---|---|---:|---:|---:|---|"]
    return "\n".join(lines + [_line(row) for row in rows]) + "\n"


def _preamble() -> str:
    names = ("torch", "torchvision", "timm", "onnx", "onnxscript", "onnxruntime")
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in names)
    today = datetime.datetime.now(tz=datetime.UTC).date()
    return (
        f"Measured on {today} with Python {platform.python_version()}, {versions}.\n\n"
        "Every model has random weights and ten classes. The layer that `auto` takes and up to three in front of it "
        "are explained for three classes; the full gradients are compared with PyTorch's autograd in float64, both "
        "from the same activations (relative L2 distance; more than 1e-5 is *wrong*). Where they differ, central "
        "differences of PyTorch's own forward pass decide between the two, and the remarks say so. A model passes if "
        "its export at the `auto` layer is certified, too. Regenerate with `python benchmarks/sweep_models.py` (see "
        "its help)."
    )


def _line(row: Row) -> str:
    remarks = " ".join([row.get("reason", ""), *row.get("notes", [])]).strip().replace("|", "\\|")
    auto = f"{row['auto']} ({row['shape']})" if row.get("auto") else ""
    worst = f"{max(row['errors'].values()):.1e}" if row["errors"] else ""
    cells = [
        row["library"],
        row["model"],
        row["verdict"],
        auto,
        len(row["errors"]) or "",
        worst,
        f"{row['seconds']:.0f}",
    ]
    return "| " + " | ".join(map(str, [*cells, remarks])) + " |"


if __name__ == "__main__":
    main()
