"""Objects the whole way: export on the command line, then named in a photo, with a graph and over a server."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import onnx
import pytest
import tritonclient.grpc as triton
from PIL import Image

from camgraph_client import Client
from camgraph_core.errors import TargetError, UnsupportedError
from camgraph_core.place import Box, DetectedObject, Point
from camgraph_core.png import encode_png
from camgraph_core.rectangle import Rectangle
from camgraph_runtime import Explainer, Target
from camgraph_server.lifecycle import Server
from support.compare import assert_same
from support.exporting import camgraph
from support.rest import b64
from support.serving import PATIENCE, server_thread
from support.square_detectors import FORMS, Square, picture

SQUARES = (Square("red", 64, 16), Square("green", 40, 8))
INPUT = ("--divisor", "255", "--mean", "0", "--std", "1", "--resize", "letterbox", "--fill", "0")


def photo() -> bytes:
    """The upper part of the picture at twice its size: a letterbox shrinks it again, and adds 8 rows on both sides."""
    return encode_png(picture(SQUARES)[:48].repeat(2, axis=0).repeat(2, axis=1))


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, sources = tmp_path_factory.mktemp("repository"), tmp_path_factory.mktemp("sources")
    (sources / "labels.txt").write_text("background\nred\ngreen\n")
    onnx.save(FORMS["ssd"].build(), sources / "ssd.onnx")
    made = camgraph(
        "export", sources / "ssd.onnx", "-o", folder / "ssd.onnx", "--labels", sources / "labels.txt", *INPUT,
        "--boxes", "boxes", "--box-format", "xyxy", "--box-unit", "normalised", "--background", "0",
    )  # fmt: skip  # a command, in rows of its own
    assert made.exit_code == 0, made.stderr
    assert "random images" not in made.stderr  # nothing was guessed
    return folder


@pytest.fixture(scope="module")
def explainer(repository: Path) -> Explainer:
    return Explainer(repository / "ssd.onnx")


@pytest.fixture(scope="module")
def server(repository: Path) -> Iterator[Server]:
    with server_thread(repository, http="127.0.0.1:0") as started:
        yield started


@pytest.fixture(scope="module")
def address(server: Server) -> str:
    return server.address


REQUESTS: dict[str, dict[str, Any]] = {
    "ranks": {"targets": [Target(place=DetectedObject(1)), Target(place=DetectedObject(2))]},
    "of a class": {"targets": [Target.of_label("green", place=DetectedObject(1))]},
    "a point": {"targets": [Target(place=Point(90, 30))]},
    "with a contrast": {"targets": [Target(place=DetectedObject(1), contrast=Target.of_label("green"))]},
    "the best": {"top_k": 2},
    "more than there are": {"top_k": 50},
    "nothing is sure enough": {"top_k": 1, "score_threshold": 0.9999},
}


@pytest.mark.parametrize("name", REQUESTS)
def test_the_server_answers_like_the_runtime(explainer: Explainer, address: str, name: str) -> None:
    outputs = ["overlay-png", "input-heatmap"]
    with Client(address) as client:
        remote = client.model("ssd").explain(photo(), outputs=outputs, **REQUESTS[name])
    assert_same(remote, explainer.explain(photo(), outputs=outputs, **REQUESTS[name]), outputs)


def test_boxes_lie_on_the_photo(explainer: Explainer) -> None:
    result = explainer.explain(photo(), targets=REQUESTS["with a contrast"]["targets"])
    [explanation] = result.explanations
    boxes = [score.box for score in result.predictions]
    assert [score.label for score in result.predictions] == ["red", "green"]
    for box, square in zip(boxes, SQUARES, strict=True):
        assert box is not None
        np.testing.assert_allclose(list(vars(box).values()), list(vars(square.box.scaled(2, 2)).values()), atol=1)
    assert explanation.target.box == explanation.contrast.box == boxes[0]
    assert (explanation.target.label, explanation.contrast.label) == ("red", "green")


def test_the_outline_is_drawn_around_the_object(explainer: Explainer) -> None:
    [explanation] = explainer.explain(photo(), top_k=1).explanations
    box = explanation.target.box
    assert isinstance(box, Rectangle)
    changed = np.any(explanation.overlay() != explanation.overlay(outline=False), axis=2)
    rows, columns = np.nonzero(changed)
    found = Rectangle(columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    np.testing.assert_allclose(list(vars(found).values()), list(vars(box).values()), atol=3)
    assert not changed[int(box.top) + 4 : int(box.bottom) - 4, int(box.left) + 4 : int(box.right) - 4].any()
    assert (np.asarray(Image.open(BytesIO(explanation.overlay_png))) == explanation.overlay()).all()


def test_what_is_not_there_is_refused(explainer: Explainer) -> None:
    for place, said in (
        (DetectedObject(3), "There is no object 3: 2 have a probability of 0.25 or more."),
        (Point(2, 2), "No object lies at 2, 2: 2 have a probability of 0.25 or more, and none of their boxes holds"),
    ):
        with pytest.raises(TargetError, match=said):
            explainer.explain(photo(), targets=[Target(place=place)])
    with pytest.raises(TargetError, match="There is no object 2 of class red: 1 have"):
        explainer.explain(photo(), targets=[Target.of_label("red", place=DetectedObject(2))])


def test_nothing_found_is_said(explainer: Explainer) -> None:
    result = explainer.explain(encode_png(np.zeros((64, 96, 3), np.uint8)), top_k=1)
    assert (result.predictions, result.explanations) == ([], [])
    assert re.fullmatch(
        r"No box has a score of 0.25 or more, so no object is listed; the best has \S+\.", *result.warnings
    )


EMPTY = encode_png(np.zeros((64, 96, 3), np.uint8))
LISTED = r"No box has a score of 0.25 or more, so no object is listed; the best has \S+\."
COUNTS_NOT = r"\w+, box \d+: the score of the box is below the threshold, so it counts as no object\."


def over_triton(server: Server) -> tuple[list[Any], list[str], str]:
    image = triton.InferInput("image", [1], "BYTES")
    image.set_data_from_numpy(np.array([EMPTY], object))
    names = ("predictions", "statistics")
    with triton.InferenceServerClient(server.address) as client:
        answer = client.infer("ssd", [image], outputs=[triton.InferRequestedOutput(name) for name in names])
        texts = {name: [json.loads(text) for text in answer.as_numpy(name)] for name in names}
        [statistics] = texts["statistics"]
        return texts["predictions"], statistics["target"], answer.get_response().parameters["warnings"].string_param


def over_v1(server: Server) -> tuple[list[Any], dict[str, Any], str]:
    body = {"instances": [{"b64": b64(EMPTY)}], "outputs": ["predictions", "statistics"]}
    address = f"http://{server.http_address}/v1/models/ssd:explain"
    [found] = httpx.post(address, json=body, timeout=PATIENCE, trust_env=False).json()["explanations"]
    return found["predictions"], found["statistics"][0]["target"], " ".join(found["warnings"])


def over_v2(server: Server) -> tuple[list[Any], dict[str, Any], str]:
    image = {
        "name": "image",
        "datatype": "BYTES",
        "shape": [1],
        "data": [b64(EMPTY)],
        "parameters": {"content_type": "base64"},
    }
    body = {"inputs": [image], "outputs": [{"name": "predictions"}, {"name": "statistics"}]}
    address = f"http://{server.http_address}/v2/models/ssd/infer"
    answer = httpx.post(address, json=body, timeout=PATIENCE, trust_env=False).json()
    outputs = {output["name"]: list(map(json.loads, output["data"])) for output in answer["outputs"]}
    return outputs["predictions"], outputs["statistics"][0]["target"], answer["parameters"]["warnings"]


def over_grpc(server: Server) -> tuple[list[Any], dict[str, Any], str]:
    with Client(server.address) as client:
        result = client.model("ssd").explain(EMPTY)
    return result.predictions, vars(result.explanations[0].target), " ".join(result.warnings)


@pytest.mark.parametrize("way", [over_grpc, over_triton, over_v1, over_v2])
def test_where_nothing_is_found_the_best_candidate_is_marked_as_no_object(
    server: Server, way: Callable[[Server], tuple[list[Any], dict[str, Any], str]]
) -> None:
    predictions, target, warnings = way(server)
    assert predictions == []
    assert target["below_threshold"] is True
    assert target["probability"] < 0.25
    assert re.match(f"{LISTED} {COUNTS_NOT}", warnings)


@pytest.mark.parametrize("where", ["graph", "server"])
def test_tables_pictures_and_reports_say_that_it_is_no_object(
    repository: Path, address: str, tmp_path: Path, where: str
) -> None:
    (tmp_path / "empty.png").write_bytes(EMPTY)
    (tmp_path / "street.png").write_bytes(photo())
    source = ["--graph", repository / "ssd.onnx"] if where == "graph" else ["--server", address, "--model", "ssd"]
    kept = ["--json", tmp_path / "kept.json", "--csv", tmp_path / "kept.csv", "--report", tmp_path / "page.html"]
    found = camgraph("explain", tmp_path / "empty.png", tmp_path / "street.png", *source, *kept, "-o", tmp_path / "out")
    assert found.exit_code == 0, found.stderr
    said = re.sub(r"\s+", " ", found.stdout)
    assert re.search(f"note: {LISTED} note: {COUNTS_NOT}", said)
    empty, street = json.loads((tmp_path / "kept.json").read_text())["images"]
    assert [row["explanations"][0]["target"]["below_threshold"] for row in (empty, street)] == [True, False]
    assert re.match(f"{LISTED} {COUNTS_NOT}", " ".join(empty["warnings"]))
    assert not any("counts as no object" in warning for warning in street["warnings"])
    page = (tmp_path / "page.html").read_text()
    assert page.count("below threshold") == 1
    assert page.count("it counts as no object") == 1
    lines = list(csv.DictReader((tmp_path / "kept.csv").read_text(encoding="utf-8").splitlines()))
    assert [line["below_threshold"] for line in lines] == ["yes", "no"]


def test_a_candidate_that_is_named_is_marked_by_its_own_score(explainer: Explainer) -> None:
    every = [Target(place=Box(index=index)) for index in range(8)]
    found = [item.target for item in explainer.explain(photo(), targets=every).explanations]
    assert [item.below_threshold for item in found] == [item.probability < 0.25 for item in found]
    [sure] = explainer.explain(photo(), top_k=1).explanations
    assert not sure.target.below_threshold
    [strict] = explainer.explain(
        photo(), targets=[Target(place=Box(index=sure.target.anchor))], score_threshold=0.9999
    ).explanations
    assert strict.target.below_threshold


@pytest.mark.parametrize(
    ("options", "titles"),
    [
        (["--object", "2"], ["green"]),
        (["--object", "1", "--object", "2"], ["red", "green"]),
        (["--target", "green", "--object", "1"], ["green"]),
        (["--at", "90,30"], ["green"]),
        (["--top-k", "2"], ["red", "green"]),
        (["--at", "90,30", "--negative"], ["against_green"]),
    ],
)
def test_command_line(repository: Path, address: str, tmp_path: Path, options: list[str], titles: list[str]) -> None:
    (tmp_path / "photo.png").write_bytes(photo())
    written = []
    for where in (["--graph", str(repository / "ssd.onnx")], ["--server", address, "--model", "ssd"]):
        out = tmp_path / where[0].strip("-")
        result = camgraph("explain", tmp_path / "photo.png", *where, *options, "-o", out)
        assert result.exit_code == 0, result.stderr
        written.append({path.name: path.read_bytes() for path in out.iterdir()})
        assert re.search(r"box .* label", result.stdout)
    assert written[0] == written[1]
    names = [re.sub(r"_box_\d+\.png$", "", name) for name in sorted(written[0])][:-1]
    assert names == [f"photo.{number}-{title}" for number, title in enumerate(titles, start=1)]


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--at", "here"], 2, "The point 'here' is not two numbers X,Y"),
        (["--object", "7"], 2, "There is no object 7: 2 have a probability of 0.25 or more."),
        (["--object", "1", "--mask", "photo.png"], 2, "--mask is for a segmentation"),
    ],
)
def test_command_line_refuses(repository: Path, tmp_path: Path, options: list[str], code: int, said: str) -> None:
    (tmp_path / "photo.png").write_bytes(photo())
    words = [str(tmp_path / word) if word.endswith(".png") else word for word in options]
    result = camgraph("explain", str(tmp_path / "photo.png"), "--graph", str(repository / "ssd.onnx"), *words)
    assert result.exit_code == code, result.stderr
    assert said in result.stderr


def test_a_photo_without_the_object_is_a_row(repository: Path, address: str, tmp_path: Path) -> None:
    photos, kept = tmp_path / "photos", tmp_path / "kept.json"
    photos.mkdir()
    (photos / "a.png").write_bytes(encode_png(picture(())))
    (photos / "b.png").write_bytes(photo())
    for where in (["--graph", str(repository / "ssd.onnx")], ["--server", address, "--model", "ssd"]):
        for said, options in (("no object 1", ["--object", "1"]), ("No object lies at 90, 30", ["--at", "90,30"])):
            result = camgraph("explain", photos, *where, *options, "--json", kept, "-o", tmp_path / "out")
            assert result.exit_code == 1, result.stderr
            without, found = json.loads(kept.read_text())["images"]
            assert said in without["error"]
            assert found["error"] is None


def test_a_graph_without_boxes_refuses_objects(tmp_path: Path) -> None:
    net = FORMS["ssd"].build()
    del net.graph.output[1]
    onnx.save(net, tmp_path / "bare.onnx")
    made = camgraph("export", tmp_path / "bare.onnx", "-o", tmp_path / "cam.onnx", "--task", "detection", *INPUT)
    assert made.exit_code == 0, made.stderr
    assert "No tensor was found that holds a box for each candidate" in made.stderr
    with pytest.raises(UnsupportedError, match="the graph does not say where its boxes are"):
        Explainer(tmp_path / "cam.onnx").explain(photo(), targets=[Target(place=DetectedObject(1))])
