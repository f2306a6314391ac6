"""Short ways to export a model in a test, and to run what came out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from click.testing import CliRunner, Result

from camgraph_cli.main import cli
from camgraph_exporter import Exported, export
from camgraph_runtime.run.engine import Engine


def exported(model: onnx.ModelProto, folder: Path, **options: Any) -> Exported:
    """Save a model as `source.onnx` and export it to `cam.onnx`, both in `folder`."""
    onnx.save(model, folder / "source.onnx")
    return export(folder / "source.onnx", folder / "cam.onnx", **options)


def in_memory(model: onnx.ModelProto, folder: Path, **options: Any) -> Exported:
    """Save a model as `source.onnx` and export it without writing the result."""
    onnx.save(model, folder / "source.onnx")
    return export(folder / "source.onnx", **options)


def images(shape: Sequence[int], seed: int = 0) -> np.ndarray:
    """Draw a batch of random images."""
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def run_graph(path: Path, image: np.ndarray, targets: Sequence[int]) -> dict[str, np.ndarray]:
    """Run an explainable graph with the same targets for every image of the batch."""
    return Engine(path).run({"image": image, "target": np.tile(np.asarray(targets, np.int64), (len(image), 1))})


def camgraph(*arguments: object) -> Result:
    """Run the command line in this process; `result.stderr` is what the user reads."""
    return CliRunner().invoke(cli, [str(argument) for argument in arguments], prog_name="camgraph")


def complaint(result: Result, *, exit_code: int) -> str:
    """Check that a command failed as it should, in at most a few plain sentences, and return what it said."""
    assert result.exit_code == exit_code, (result.exit_code, result.output)
    assert result.stdout == ""
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("Error: ")
    assert lines[0].endswith((".", "?"))
    assert "Traceback" not in lines[0]
    assert "fault of camgraph" not in lines[0]
    return lines[0]


def refused(model: onnx.ModelProto, folder: Path, *arguments: object, exit_code: int = 1) -> str:
    """Export a model on the command line and return what was said when it was refused."""
    onnx.save(model, folder / "net.onnx")
    result = camgraph("export", folder / "net.onnx", "-o", folder / "out" / "cam.onnx", *arguments)
    assert not (folder / "out").exists()
    return complaint(result, exit_code=exit_code)
