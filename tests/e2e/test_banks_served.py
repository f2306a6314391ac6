"""Memory banks that lie beside their graphs: on a server as in this process, over every protocol, and reloaded."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import tritonclient.grpc as triton

from camgraph_client import Client
from camgraph_core.errors import TooLargeError, UnsupportedError, UsageError
from camgraph_core.explanation import Explanation
from camgraph_core.outputs import DEFAULT_OUTPUTS
from camgraph_core.png import encode_png
from camgraph_core.target import Target
from camgraph_runtime import Explainer, MemoryBank, build_bank
from camgraph_runtime.digest import file_sha256
from camgraph_server.config import ServerConfig
from camgraph_server.lifecycle import Server
from camgraph_server.models.file_loader import FileLoader
from camgraph_server.models.memory import ModelMemory
from camgraph_server.models.repository import ModelRepository
from support.compare import assert_same, numbers
from support.exporting import camgraph
from support.rest import b64
from support.serving import PATIENCE, png, server_thread, write_model
from support.tasks import export_task

GOOD = [png(32, 32, seed=seed) for seed in range(4)]
PART = png(40, 30, seed=9)
LAYERS = {"tiny": ["last", "conv"], "segmentation": ["mid"], "embedding": ["first", "last"]}
OUTPUTS = ["heatmap", "heatmap-png", "overlay-png", "raw-map", "input-heatmap", "hot-regions", "weights"]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of three models with banks and one without."""
    folder, made = tmp_path_factory.mktemp("models"), tmp_path_factory.mktemp("made")
    write_model(folder)
    write_model(folder, "bare")
    for name in ("segmentation", "embedding"):
        shutil.copy(export_task(name, made), folder / f"{name}.onnx")
    for name, layers in LAYERS.items():
        bank_for(graph_of(folder, name), layers)
    return folder


@pytest.fixture(scope="module")
def server(models: Path) -> Iterator[Server]:
    with server_thread(models, http="127.0.0.1:0") as started:
        yield started


def graph_of(folder: Path, name: str) -> Path:
    flat = folder / f"{name}.onnx"
    return flat if flat.exists() else folder / name / "1" / "model.onnx"


def bank_file(graph: Path) -> Path:
    return graph.with_name("bank.npz" if graph.name == "model.onnx" else f"{graph.name}.bank.npz")


def bank_for(graph: Path, layers: list[str], seed: int = 0) -> MemoryBank:
    """Builds a bank, and puts it beside its graph."""
    with Explainer(graph) as explainer:
        bank = build_bank(explainer, GOOD, layers=layers, patches=30, seed=seed)
    bank.save(bank_file(graph))
    return bank


def here(models: Path, name: str, **asked: Any) -> Any:
    graph = graph_of(models, name)
    return Explainer(graph, bank=MemoryBank.load(bank_file(graph))).explain(PART, bank=True, **asked)


def beside(models: Path, name: str) -> Explanation:
    """The distances as `MemoryBank.beside` gives them, from activations of an explanation of the bank's layers."""
    explainer, bank = Explainer(graph_of(models, name)), MemoryBank.load(bank_file(graph_of(models, name)))
    targets = [Target.direction(np.ones(6))] if name == "embedding" else []
    [explained] = explainer.explain(PART, targets=targets, layers=bank.header.layers, method="eigen-cam").explanations
    return bank.beside(explained, explainer.manifest)


@pytest.mark.parametrize("name", LAYERS)
def test_an_explainer_with_a_bank_adds_what_the_bank_says(models: Path, name: str) -> None:
    *others, found = here(models, name).explanations
    expected = beside(models, name)
    assert len(others) == (name != "embedding")
    assert found.target.score == pytest.approx(expected.target.score, rel=1e-6)
    assert found.target.score > 0
    np.testing.assert_allclose(found.raw_map, expected.raw_map, rtol=1e-5)
    np.testing.assert_array_equal(found.overlay(), expected.overlay())
    assert found.hot_regions == expected.hot_regions


@pytest.mark.parametrize("asked", [{}, {"top_k": 2, "max_side": 20}, {"layers": ["conv"]}, {"profile": "raw"}], ids=str)
@pytest.mark.parametrize("outputs", [[], OUTPUTS])
def test_a_model_with_a_bank_can_be_swapped(
    models: Path, server: Server, asked: dict[str, Any], outputs: list[str]
) -> None:
    if "profile" in asked:
        outputs = [name for name in outputs if name in ("heatmap", "raw-map", "input-heatmap", "weights")]
    with Client(server.address) as client:
        there = client.model("tiny").explain(PART, bank=True, outputs=outputs, **asked)
    local = here(models, "tiny", outputs=outputs, **asked)
    *others, found = there.explanations
    *wanted, expected = local.explanations
    asked_for = outputs or DEFAULT_OUTPUTS
    assert_same(replace(there, explanations=others), replace(local, explanations=wanted), asked_for)
    assert numbers(found.target) == numbers(expected.target)
    assert (found.statistics, found.method, found.layers, found.has_own_scale) == (
        expected.statistics, expected.method, expected.layers, True,
    )  # fmt: skip  # fields
    for name in asked_for:
        if name == "weights":
            assert not hasattr(found, "weights")
        elif name == "hot-regions":
            assert found.hot_regions == expected.hot_regions
        else:
            np.testing.assert_array_equal(np.asarray(found.output(name)), np.asarray(expected.output(name)))
    if not asked and outputs:
        assert encode_png(there.panel()) == encode_png(local.panel())


@pytest.mark.parametrize("name", ["segmentation", "embedding"])
def test_models_of_every_task_have_banks(models: Path, server: Server, name: str) -> None:
    with Client(server.address) as client:
        found = client.model(name).explain(PART, bank=True).explanations[-1]
    expected = here(models, name).explanations[-1]
    assert numbers(found.target) == numbers(expected.target)
    np.testing.assert_array_equal(found.heatmap, expected.heatmap)


def test_a_list_of_models_says_which_have_banks(server: Server) -> None:
    with Client(server.address) as client:
        assert {model.name: model.has_bank for model in client.list_models()} == {
            "bare": False, "embedding": True, "segmentation": True, "tiny": True,
        }  # fmt: skip  # a table
    listed = camgraph("models", "--server", server.address)
    assert listed.exit_code == 0
    assert listed.output.count("yes") == 3


@pytest.mark.parametrize("where", ["graph", "server"])
def test_a_bank_that_is_not_there_is_said(models: Path, server: Server, where: str) -> None:
    with Client(server.address) as client:
        explains: Any = client.model("bare") if where == "server" else Explainer(graph_of(models, "bare"))
        with pytest.raises(UnsupportedError, match=r"has no memory bank. Build one with camgraph build-bank"):
            explains.explain(PART, bank=True)


DISTANCES = {
    "distance": lambda item: np.array([item.target.score], np.float32),
    "distance-map": lambda item: item.raw_map,
    "distance-heatmap": lambda item: item.heatmap,
    "distance-overlay-png": lambda item: np.array([item.overlay_png], object),
}


def by_triton(server: Server) -> dict[str, Any]:
    image = triton.InferInput("image", [1], "BYTES")
    image.set_data_from_numpy(np.array([PART], object))
    names = [*DISTANCES, "statistics", "heatmap"]
    with triton.InferenceServerClient(server.address) as client:
        answer = client.infer("tiny", [image], outputs=[triton.InferRequestedOutput(name) for name in names])
        return {name: answer.as_numpy(name) for name in names}


def by_v1(server: Server) -> dict[str, Any]:
    names = [*DISTANCES, "statistics", "heatmap"]
    body = {"instances": [{"b64": b64(PART)}], "outputs": names}
    address = f"http://{server.http_address}/v1/models/tiny:explain"
    answer = httpx.post(address, json=body, timeout=PATIENCE, trust_env=False)
    assert answer.status_code == 200, answer.text
    return answer.json()["explanations"][0]


@pytest.mark.parametrize("way", [by_triton, by_v1])
def test_distances_are_outputs_of_other_protocols(
    models: Path, server: Server, way: Callable[[Server], dict[str, Any]]
) -> None:
    found, expected = way(server), here(models, "tiny").explanations[-1]
    for name, value in DISTANCES.items():
        if name != "distance-overlay-png":
            np.testing.assert_allclose(found[name], value(expected), rtol=1e-6)
    [picture] = found["distance-overlay-png"]
    assert (picture if isinstance(picture, bytes) else picture["b64"]) in (
        expected.overlay_png, b64(expected.overlay_png),
    )  # fmt: skip  # two forms
    assert len(found["statistics"]) == len(found["heatmap"]) == 1


def test_the_command_takes_the_bank_of_the_model(models: Path, server: Server, tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    for number in range(2):
        (tmp_path / "parts" / f"{number}.png").write_bytes(png(40, 30, seed=number))
    words = ("explain", tmp_path / "parts", "--bank", "model", "--hot-regions", "-o")
    for number, where in enumerate(
        (("--graph", graph_of(models, "tiny")), ("--server", server.address, "--model", "tiny"))
    ):
        done = camgraph(*words, tmp_path / str(number), *where)
        assert done.exit_code == 0, (done.output, done.exception)
    pictures = [sorted(path.name for path in (tmp_path / number).iterdir()) for number in ("0", "1")]
    assert pictures[0] == pictures[1]
    assert any("unlike_the_bank" in name for name in pictures[0])
    for name in pictures[0]:
        assert (tmp_path / "0" / name).read_bytes() == (tmp_path / "1" / name).read_bytes()


@pytest.fixture
def folder(models: Path, tmp_path: Path) -> Path:
    """A repository of its own, with one model and its bank."""
    shutil.copytree(models / "tiny", tmp_path / "models" / "tiny")
    return tmp_path / "models"


@pytest.fixture
def opened(folder: Path) -> Iterator[Callable[..., ModelRepository]]:
    """Loads the repository as a server with these settings does."""
    loaders = []

    def open_repository(memory: ModelMemory | None = None, **settings: Any) -> ModelRepository:
        loaders.append(FileLoader(ServerConfig(folder, **{"trial_load": False} | settings), folder))
        repository = ModelRepository(folder, loaders[-1], memory)
        repository.load()
        return repository

    yield open_repository
    for loader in loaders:
        loader.close()


def distance(repository: ModelRepository) -> float:
    [model] = repository.models
    assert model.explainer is not None, model.reason
    return model.explainer.explain(PART, bank=True).explanations[-1].target.score


def test_a_bank_is_reloaded_with_its_model(folder: Path, opened: Callable[..., ModelRepository]) -> None:
    graph, repository = graph_of(folder, "tiny"), opened()
    first = distance(repository)
    bank_for(graph, ["conv"], seed=3)
    repository.reload()
    assert distance(repository) != first
    bank_file(graph).write_bytes(b"no bank")
    repository.reload()
    [model] = repository.models
    assert "serves as it was before" in model.reason
    assert "is not a bank" in model.reason
    bank_file(graph).unlink()
    repository.reload()
    [model] = repository.models
    assert model.reason == ""
    assert model.explainer is not None
    assert model.explainer.bank is None
    repository.close()


def of_another_graph(graph: Path) -> None:
    bank = MemoryBank.load(bank_file(graph))
    MemoryBank(replace(bank.header, graph="0" * 64), bank.patches, bank.scores).save(bank_file(graph))


def with_other_patches(graph: Path) -> None:
    bank = MemoryBank.load(bank_file(graph))
    MemoryBank(bank.header, bank.patches + 1, bank.scores).save(bank_file(graph))


def of_other_layers(graph: Path) -> None:
    bank = MemoryBank.load(bank_file(graph))
    header = replace(bank.header, layers=bank.header.layers[:1])
    MemoryBank(header, bank.patches, bank.scores).save(bank_file(graph))


def cut(graph: Path) -> None:
    bank_file(graph).write_bytes(bank_file(graph).read_bytes()[:-100])


@pytest.mark.parametrize("trial", [False, True])
@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (with_other_patches, "not those that it was written with"),
        (of_other_layers, "The bank's patches have"),
        (cut, "is not a bank"),
    ],
)
def test_a_bank_is_checked_when_it_is_loaded(
    folder: Path, opened: Callable[..., ModelRepository], spoil: Callable[[Path], None], said: str, trial: bool
) -> None:
    spoil(graph_of(folder, "tiny"))
    [model] = opened(trial_load=trial).models
    assert model.info.state == "failed"
    assert said in model.reason


def test_a_bank_of_another_graph_is_refused(models: Path, tmp_path: Path) -> None:
    """Where the graph states its digest, as the exporter's do."""
    graph = tmp_path / "segmentation.onnx"
    shutil.copy(graph_of(models, "segmentation"), graph)
    shutil.copy(bank_file(graph_of(models, "segmentation")), bank_file(graph))
    of_another_graph(graph)
    with pytest.raises(UsageError, match="The bank was built with another graph"):
        Explainer(graph, bank=MemoryBank.load(bank_file(graph)))


def test_a_bank_is_counted_with_its_model(folder: Path, opened: Callable[..., ModelRepository]) -> None:
    """By the arrays that its file states, of which a small file may have many."""
    path = bank_file(graph_of(folder, "tiny"))
    bank = MemoryBank.load(path)
    many = np.zeros((200_000, bank.patches.shape[1]), np.float32)
    MemoryBank(replace(bank.header, arrays=""), many, bank.scores).save(path)
    assert path.stat().st_size < many.nbytes / 50
    [model] = opened(ModelMemory(9 * 2**20 + many.nbytes)).models
    assert model.info.state == "failed"
    assert "It would take about" in model.reason
    [model] = opened(ModelMemory(10 * 2**20 + 2 * many.nbytes)).models
    assert model.info.state == "ready", model.reason


def test_a_bank_is_pinned_with_its_graph(folder: Path, opened: Callable[..., ModelRepository], tmp_path: Path) -> None:

    graph, pins = graph_of(folder, "tiny"), tmp_path / "pins.txt"
    lines = [f"{file_sha256(path)}  tiny/1/{path.name}" for path in (graph, bank_file(graph))]
    pins.write_text(lines[0], encoding="utf-8")
    [model] = opened(pins=pins).models
    assert "tiny/1/bank.npz has no hash" in model.reason
    pins.write_text("\n".join(lines), encoding="utf-8")
    [model] = opened(pins=pins).models
    assert model.info.state == "ready", model.reason


def test_an_answer_with_distances_is_measured(models: Path) -> None:
    with server_thread(models, max_output_megapixels=0.002) as server, Client(server.address) as client:
        model = client.model("tiny")
        assert model.explain(PART, outputs=["overlay-png"]).explanations
        with pytest.raises(TooLargeError, match="2 targets with 1 outputs"):
            model.explain(PART, outputs=["overlay-png"], bank=True)
