"""What a small machine loads instead of the graph: onnxruntime's own format, and the operators that it needs.

A build of onnxruntime that is reduced to those operators is a fraction of the usual one's size, and reads no ONNX.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from camgraph_exporter.errors import ExportError

_CONVERTER = "onnxruntime.tools.convert_onnx_models_to_ort"
_OPERATORS_SUFFIX = ".required_operators.config"


@dataclass(frozen=True)
class EdgeFiles:
    """The files beside a graph.

    Attributes:
        graph: The graph in ORT format, which `camgraph_runtime.Explainer` loads like the graph itself.
        operators: The operators that it needs, as onnxruntime's ``build.py --include_ops_by_config`` reads them.

    """

    graph: Path
    operators: Path


def write_edge_files(graph: Path) -> EdgeFiles:
    """Write both files beside an explainable graph, with the graph's name: ``NAME.ort`` and its operators.

    The graph is optimised for processors of this machine's kind.

    Raises:
        ExportError: onnxruntime cannot convert the graph.

    """
    files = EdgeFiles(graph.with_suffix(".ort"), graph.with_suffix(_OPERATORS_SUFFIX))
    with tempfile.TemporaryDirectory(dir=graph.parent) as folder:
        command = [sys.executable, "-m", _CONVERTER, str(graph.resolve()), "--output_dir", folder]
        outcome = subprocess.run(
            [*command, "--optimization_style", "Fixed"],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "ORT_DISABLE_TELEMETRY": "1"},
        )
        made = [Path(folder) / path.name for path in (files.graph, files.operators)]
        if outcome.returncode != 0 or not all(path.is_file() for path in made):
            lines = outcome.stderr.strip().splitlines() or ["it gave no reason"]
            raise ExportError(f"onnxruntime cannot convert {graph.name} to its own format: {lines[-1].rstrip('.')}.")
        for path, target in zip(made, (files.graph, files.operators), strict=True):
            path.replace(target)
    return files
