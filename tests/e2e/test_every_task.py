"""Segmentation, detection and embedding the whole way: export, serve, explain through gRPC and on the command line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from PIL import Image

from camgraph.v1 import explanation_pb2 as pb
from camgraph.v1.explanation_pb2_grpc import ExplanationServiceStub
from camgraph_client import Client
from camgraph_core.errors import InvalidInputError, UnsupportedError
from camgraph_core.place import Box, Mask, Point, Polygon
from camgraph_core.png import encode_png
from camgraph_runtime import Explainer, Target
from camgraph_runtime.maps.cam import METHODS
from support.compare import assert_same
from support.exporting import camgraph
from support.serving import PATIENCE, png, server_process
from support.tasks import EMBEDDING, TASKS, export_task, load

OUTPUTS = ["heatmap", "weights", "raw-map"]
PHOTO = png(48, 40, seed=5)
MASK = np.zeros((40, 48), np.uint8)
MASK[8:30, 10:25] = 1
ONE, TWO = np.random.default_rng(1).normal(size=(2, EMBEDDING)).astype(np.float32)
WISHES: dict[str, Sequence[Target]] = {
    "segmentation": (
        Target.index(1, place=Mask(MASK)),
        Target.of_label("cow"),
        Target.index(1, place=Mask(MASK), contrast=Target.of_rank(1)),
        Target.index(1, place=Mask(MASK), negative=True),
    ),
    "detection": (
        Target.index(3, place=Box(77)),
        Target.of_label("bus", place=Box(rank=3)),
        Target.index(3, place=Box(77), contrast=Target.index(0)),
        Target.of_rank(2, negative=True),
    ),
    "embedding": (
        Target.direction(ONE),
        Target.direction(ONE, contrast=Target.direction(TWO)),
        Target.direction(TWO, negative=True),
        Target.similar_to(np.stack([ONE, TWO]), names=["one", "two"], mode="nearest"),
        Target.similar_to(ONE, contrast=Target.similar_to(TWO), negative=True),
    ),
    "regression": (Target(), Target.of_label("less"), Target.index(1, negative=True)),
    "dense-regression": (
        Target(),
        Target.of_label("less", place=Polygon([(2, 2), (20, 4), (9, 17)])),
        Target(place=Point(11, 8), negative=True),
    ),
}


def _references(rows: np.ndarray, mode: int = 0) -> pb.References:
    data = rows.astype(np.float32)
    return pb.References(
        embeddings=pb.Tensor(dtype="float32", shape=data.shape, data=data.tobytes()),
        mode=mode,  # type: ignore[arg-type]  # a number that the enum does not have
    )


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made, served = tmp_path_factory.mktemp("made"), tmp_path_factory.mktemp("served")
    for name in TASKS:
        shutil.move(export_task(name, made), served / f"{name}.onnx")
    return served


@pytest.fixture(scope="module")
def explainers(models: Path) -> dict[str, Explainer]:
    return {name: load(models / f"{name}.onnx") for name in TASKS}


@pytest.fixture(scope="module")
def address(models: Path) -> Iterator[str]:
    with server_process(models) as process:
        yield process.address


@pytest.fixture(scope="module")
def client(address: str) -> Iterator[Client]:
    with Client(address) as connected:
        yield connected


@pytest.mark.parametrize("task", TASKS)
def test_the_server_answers_like_the_runtime(client: Client, explainers: dict[str, Explainer], task: str) -> None:
    options: dict[str, Any] = {"targets": WISHES[task], "layers": TASKS[task].layers, "num_predictions": 4}
    remote = client.model(task).explain(PHOTO, outputs=OUTPUTS, **options)
    assert_same(remote, explainers[task].explain(PHOTO, **options), OUTPUTS)
    assert len(remote.predictions) == {"segmentation": 3, "detection": 4, "embedding": 0}.get(task, 1)
    assert any(explanation.heatmap.any() for explanation in remote.explanations if explanation.heatmap is not None)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("task", TASKS)
def test_every_method_through_the_server(
    client: Client, explainers: dict[str, Explainer], task: str, method: str
) -> None:
    options: dict[str, Any] = {"targets": WISHES[task][:1], "layers": TASKS[task].layers, "method": method}
    guided = method == "guided-grad-cam"
    outputs = [*OUTPUTS, "guided", "guided-png"] if guided else OUTPUTS
    remote = client.model(task).explain(PHOTO, outputs=outputs, **options)
    local = explainers[task].explain(PHOTO, outputs=outputs, **options)
    assert_same(remote, local, outputs)
    if guided:
        [got], [wanted] = remote.explanations, local.explanations
        assert got.guided_png == encode_png(wanted.guided_picture())


def test_what_a_graph_lacks_is_a_failed_precondition(address: str, client: Client) -> None:
    mask = pb.Tensor(dtype="uint8", shape=MASK.shape, data=MASK.tobytes())
    cotangent = pb.Tensor(dtype="float32", shape=ONE.shape, data=ONE.tobytes())
    refused = [
        ("detection", pb.Target(mask=mask)),
        ("segmentation", pb.Target(anchor_index=1)),
        ("segmentation", pb.Target(cotangent=cotangent)),
        ("embedding", pb.Target(class_index=1)),
    ]
    with grpc.insecure_channel(address) as channel:
        stub = ExplanationServiceStub(channel)
        for model, target in refused:
            request = pb.ExplainRequest(model_name=model, image=pb.EncodedImage(data=PHOTO), targets=[target])
            with pytest.raises(grpc.RpcError) as failure:
                stub.Explain(request, timeout=PATIENCE)
            assert failure.value.code() == grpc.StatusCode.FAILED_PRECONDITION
            assert f"this graph is for {model}" in failure.value.details()
    with pytest.raises(UnsupportedError, match="this graph is for detection"):
        client.model("detection").explain(PHOTO, targets=[Target(place=Mask(MASK))])


@pytest.mark.parametrize(
    ("model", "target", "text"),
    [
        ("segmentation", pb.Target(mask=pb.Tensor(dtype="uint8", shape=[2], data=b"ab")), r"A mask is an array"),
        ("segmentation", pb.Target(mask=pb.Tensor(dtype="uint8", shape=[1, 2], data=b"ab")), r"The mask is 2 x 1, but"),
        ("segmentation", pb.Target(mask=pb.Tensor(dtype="uint8", shape=[9, 9], data=b"")), r"takes 81 bytes"),
        ("detection", pb.Target(anchor_index=-1), "is not negative"),
        ("detection", pb.Target(anchor_index=128), "no box 128"),
        ("detection", pb.Target(anchor_rank=0), "start at 1"),
        ("embedding", pb.Target(), "give every target and contrast a cotangent"),
        ("embedding", pb.Target(cotangent=pb.Tensor(dtype="float32", shape=[1], data=b"1234")), "has 1 numbers"),
        ("embedding", pb.Target(references=pb.References()), "The tensor has the dtype"),
        ("embedding", pb.Target(references=_references(np.zeros((1, EMBEDDING)))), "zero everywhere"),
        ("embedding", pb.Target(references=_references(np.ones((1025, EMBEDDING)))), "the limit is 1024"),
        ("embedding", pb.Target(references=_references(np.ones((1, EMBEDDING)), mode=7)), "has the value 7"),
        (
            "embedding",
            pb.Target(class_index=1, cotangent=pb.Tensor(dtype="float32", shape=[1], data=b"1234")),
            "A direction takes the place of a class",
        ),
    ],
)
def test_what_cannot_be_used_is_an_invalid_argument(address: str, model: str, target: pb.Target, text: str) -> None:
    request = pb.ExplainRequest(model_name=model, image=pb.EncodedImage(data=PHOTO), targets=[target])
    with grpc.insecure_channel(address) as channel, pytest.raises(grpc.RpcError) as failure:
        ExplanationServiceStub(channel).Explain(request, timeout=PATIENCE)
    assert failure.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert text in failure.value.details()


def test_a_guided_output_needs_the_guided_method(client: Client) -> None:
    with pytest.raises(InvalidInputError, match="The method hires-cam has no guided map"):
        client.model("detection").explain(PHOTO, outputs=["guided"])


def test_the_embedding_goes_over_the_wire_and_back_as_a_reference(
    client: Client, explainers: dict[str, Explainer], models: Path, tmp_path: Path
) -> None:
    model, explainer = client.model("embedding"), explainers["embedding"]
    others = [png(48, 40, seed=seed) for seed in (6, 7)]
    rows = np.stack([model.explain(other).embedding for other in others])  # type: ignore[misc]  # it has one
    np.testing.assert_array_equal(rows, [explainer.explain(other).embedding for other in others])
    [remote] = model.explain(PHOTO, targets=[Target.similar_to(rows)]).explanations
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    of_photo = explainer.explain(PHOTO).embedding
    assert of_photo is not None
    cosine = of_photo @ unit.sum(axis=0) / np.linalg.norm(of_photo) / np.linalg.norm(unit.sum(axis=0))
    assert remote.target.score == pytest.approx(cosine, abs=1e-6)

    (tmp_path / "photo.png").write_bytes(PHOTO)
    words = (
        "--graph",
        str(models / "embedding.onnx"),
        "--json",
        str(tmp_path / "all.json"),
        "-o",
        str(tmp_path / "out"),
    )
    result = camgraph("explain", str(tmp_path / "photo.png"), *words)
    assert result.exit_code == 0, result.stderr
    [row] = json.loads((tmp_path / "all.json").read_text())["images"]
    np.testing.assert_allclose(row["embedding"], of_photo, rtol=1e-6)
    assert row["explanations"] == row["files"] == []


@pytest.fixture
def inputs(tmp_path: Path) -> dict[str, str]:
    """Files for the command line."""
    (tmp_path / "photo.png").write_bytes(PHOTO)
    Image.fromarray(MASK * 255).save(tmp_path / "mask.png")
    np.save(tmp_path / "one.npy", ONE)
    np.save(tmp_path / "both.npy", np.stack([ONE, TWO]))
    np.save(tmp_path / "cube.npy", np.zeros((2, 2, 2)))
    (tmp_path / "text.npy").write_text("no array")
    (tmp_path / "others").mkdir()
    for seed, name in enumerate(("other.png", "others/a.png", "others/b.png"), start=6):
        (tmp_path / name).write_bytes(png(48, 40, seed=seed))
    return {path.name: str(path) for path in tmp_path.iterdir()} | {"others/*.png": f"{tmp_path}/others/*.png"}


COMMANDS: list[tuple[str, list[str], list[str]]] = [
    ("segmentation", ["--target", "cow", "--mask", "mask.png"], ["1-cow"]),
    ("segmentation", ["--mask", "mask.png", "--top-k", "2"], ["1-", "2-"]),
    (
        "segmentation",
        ["--target", "cow", "--method", "guided-grad-cam", "--mask", "mask.png"],
        ["1-cow.png", "1-cow.guided.png"],
    ),
    ("detection", ["--target", "3", "--anchor", "77", "--negative"], ["1-against_van_box_77"]),
    ("detection", ["--target", "bus", "--anchor", "-2", "--contrast", "car"], ["1-bus_box"]),
    ("embedding", ["--cotangent", "both.npy"], ["1-direction", "2-direction"]),
    ("embedding", ["--reference", "other.png", "--negative"], ["1-against_other_png"]),
    ("embedding", ["--reference", "others", "--reference-mode", "each"], ["1-a_png", "2-b_png"]),
    ("embedding", ["--reference", "others/*.png", "--contrast-reference", "other.png"], ["1-2_references_not_other"]),
    ("regression", ["--negative"], ["1-against_more"]),
    ("regression", ["--target", "more", "--target", "0"], ["1-more", "2-less"]),
    ("dense-regression", ["--at", "9,9", "--mask", "mask.png"], ["1-more", "2-more"]),
]


@pytest.mark.parametrize(("model", "options", "files"), COMMANDS)
def test_command_line_with_graph_and_server(
    models: Path, address: str, inputs: dict[str, str], tmp_path: Path, model: str, options: list[str], files: list[str]
) -> None:
    words = [inputs.get(word, word) for word in options]
    pictures = []
    for place in (["--graph", str(models / f"{model}.onnx")], ["--server", address, "--model", model]):
        out = tmp_path / place[0].strip("-")
        result = camgraph("explain", inputs["photo.png"], *place, *words, "-o", str(out))
        assert result.exit_code == 0, result.stderr
        pictures.append({path.name: path.read_bytes() for path in out.iterdir()})
        table = {"segmentation": "area", "detection": "box", "embedding": ""}.get(model, "value")
        assert table in result.stdout
        assert ("rank" in result.stdout) == (model in ("segmentation", "detection"))
        assert model != "regression" or not {"class", "probability", "score"} & set(result.stdout.split())
    assert pictures[0] == pictures[1]
    assert len(pictures[0]) == len(files) + 1
    for start in files:
        assert any(name.startswith(f"photo.{start}") for name in pictures[0])


@pytest.mark.parametrize(
    ("model", "options", "code", "text"),
    [
        ("embedding", ["--cotangent", "one.npy", "--target", "1"], 2, "--cotangent takes the place of --target"),
        ("embedding", ["--cotangent", "one.npy", "--anchor", "1"], 2, "--cotangent takes the place of --mask and"),
        ("detection", ["--mask", "mask.png", "--anchor", "1"], 2, "give one of them"),
        ("embedding", ["--cotangent", "text.npy"], 1, "cannot be read as a NumPy file"),
        ("embedding", ["--cotangent", "cube.npy"], 1, "a cotangent is an array [D]"),
        ("embedding", [], 2, "Name images to hold it against (--reference)"),
        ("embedding", ["--top-k", "1"], 1, "give targets with a cotangent or references"),
        ("embedding", ["--reference", "other.png", "--top-k", "1"], 2, "leave out --top-k"),
        ("embedding", ["--contrast-reference", "other.png"], 2, "goes with --reference"),
        ("detection", ["--reference", "other.png"], 1, "--reference needs a graph for embeddings"),
        ("detection", ["--anchor", "first"], 2, "The anchor 'first' is not a box"),
        (
            "detection",
            ["--mask", "mask.png"],
            1,
            "takes a graph for dense-regression or segmentation",
        ),
        ("segmentation", ["--mask", "text.npy"], 1, "is not an image that can be read"),
    ],
)
def test_command_line_refuses(
    models: Path, inputs: dict[str, str], model: str, options: list[str], code: int, text: str
) -> None:
    words = [inputs.get(word, word) for word in options]
    result = camgraph("explain", inputs["photo.png"], "--graph", str(models / f"{model}.onnx"), *words)
    assert result.exit_code == code
    assert text in result.stderr
    assert "Traceback" not in result.stderr
