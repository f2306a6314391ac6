"""Objects the whole way: export on the command line, then named in a photo, with a graph and over a server."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from PIL import Image

from camgraph_client import Client
from camgraph_core.errors import TargetError, UnsupportedError
from camgraph_core.place import DetectedObject, Point
from camgraph_core.png import encode_png
from camgraph_core.rectangle import Rectangle
from camgraph_runtime import Explainer, Target
from support.compare import assert_same
from support.exporting import camgraph
from support.serving import run_camgraph, server_thread
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
def address(repository: Path) -> Iterator[str]:
    with server_thread(repository) as server:
        yield server.address


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
    result = run_camgraph("explain", str(tmp_path / "photo.png"), "--graph", str(repository / "ssd.onnx"), *words)
    assert result.returncode == code, result.stderr
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
