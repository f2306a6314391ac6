"""The graph of a run."""

from __future__ import annotations

from pathlib import Path

import fsspec
import onnx
import pytest

from camgraph_client.bulk.graph import Graph
from camgraph_client.bulk.settings import Asked, Cluster
from camgraph_core.errors import CamgraphError, InvalidGraphError, UsageError
from camgraph_runtime.digest import digest_of_file


def test_it_is_read_from_any_store(model: Path) -> None:
    fsspec.filesystem("memory").pipe("/bulk-graph/model.onnx", model.read_bytes())
    here, there = Graph.read(str(model)), Graph.read("memory://bulk-graph/model.onnx")
    assert here.content == there.content == model.read_bytes()
    assert here.sha256 == there.sha256 == digest_of_file(model).graph_sha256


def test_weights_beside_it_stay_where_they_are(model: Path, tmp_path: Path) -> None:
    apart = tmp_path / "apart.onnx"
    onnx.save(onnx.load(model), apart, save_as_external_data=True, location="apart.onnx.data", size_threshold=64)
    graph = Graph.read(str(apart))
    assert graph.content == str(apart)
    assert graph.sha256 == digest_of_file(apart).graph_sha256
    fsspec.filesystem("memory").pipe("/bulk-graph/apart.onnx", apart.read_bytes())
    with pytest.raises(UsageError, match="weights in other files"):
        Graph.read("memory://bulk-graph/apart.onnx")


@pytest.mark.parametrize("name", ["gone.onnx", "memory://bulk-graph/gone.onnx", "photos"])
def test_what_is_not_there_is_said(tmp_path: Path, name: str) -> None:
    (tmp_path / "photos").mkdir()
    with pytest.raises(InvalidGraphError, match="cannot be read"):
        Graph.read(name if "://" in name else str(tmp_path / name))


@pytest.mark.parametrize(
    "asked",
    [Asked(target=("unicorn",)), Asked(target=("7",)), Asked(layer=("nowhere",)), Asked(contrast="unicorn")],
    ids=["label", "index", "layer", "contrast"],
)
def test_what_it_cannot_do_is_said_before_there_is_any_work(model: Path, asked: Asked) -> None:
    with pytest.raises(CamgraphError):
        Graph.read(str(model)).check(asked.keywords)
    Graph.read(str(model)).check(Asked(map="signed", top_k=2).keywords)


def test_a_gpu_must_be_given_by_ray() -> None:
    with pytest.raises(UsageError, match="--gpus-per-worker"):
        Cluster(device="cuda")
