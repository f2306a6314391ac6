"""The files for small machines: the runtime loads one of them, and the other names every operator of it."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import onnx
import pytest

from camgraph_exporter.edge import write_edge_files
from camgraph_exporter.errors import ExportError
from camgraph_runtime import Explainer
from support.nets import classifier
from support.serving import run_camgraph
from support.tiny_graph import TinyGraph

PHOTO = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)


def test_the_runtime_explains_with_the_file_in_onnxruntimes_own_format(tmp_path: Path) -> None:
    path = tmp_path / "tiny.cam.onnx"
    path.write_bytes(TinyGraph().serialize())
    files = write_edge_files(path)
    assert files.graph == tmp_path / "tiny.cam.ort"
    assert sorted(tmp_path.iterdir()) == sorted([path, files.graph, files.operators])
    with Explainer(path) as usual, Explainer(files.graph) as small:
        assert small.manifest == usual.manifest
        wanted, found = (explainer.explain(PHOTO, top_k=2) for explainer in (usual, small))
    for one, other in zip(wanted.explanations, found.explanations, strict=True):
        np.testing.assert_allclose(other.heatmap, one.heatmap, atol=1e-5)


def test_the_operators_are_listed_by_domain_and_opset(tmp_path: Path) -> None:
    path = tmp_path / "tiny.onnx"
    path.write_bytes(TinyGraph().serialize())
    lines = write_edge_files(path).operators.read_text().splitlines()
    listed = [line for line in lines if not line.startswith("#")]
    assert listed
    assert all(re.fullmatch(r"[a-z.]+;\d+;\w+(,\w+)*", line) for line in listed)
    assert "Conv" in ",".join(listed)


def test_what_is_no_graph_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "text.onnx"
    path.write_text("no graph")
    with pytest.raises(ExportError, match=r"onnxruntime cannot convert text\.onnx to its own format: "):
        write_edge_files(path)
    assert list(tmp_path.iterdir()) == [path]


def test_the_command_writes_both_beside_the_graph(tmp_path: Path) -> None:
    onnx.save(classifier(softmax=True), tmp_path / "net.onnx")
    output = tmp_path / "out" / "net.cam.onnx"
    done = run_camgraph("export", str(tmp_path / "net.onnx"), "-o", str(output), "--preset", "zero-one", "--edge")
    assert (done.returncode, done.stderr) == (0, "")
    files = [output.with_suffix(".ort"), output.with_suffix(".required_operators.config")]
    assert f"For small machines: {files[0]} and {files[1]}" in done.stdout
    assert sorted(output.parent.iterdir()) == sorted([output, *files])
