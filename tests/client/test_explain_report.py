"""The HTML page of `camgraph explain --report`."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from PIL import Image

from camgraph_cli.main import cli
from camgraph_runtime import Explainer
from support.exporting import camgraph
from support.report_page import Page
from support.serving import png, server_thread, write_model
from support.square_detectors import FORMS, Square
from support.square_detectors import picture as squares
from support.tiny_graph import TinyGraph

HOSTILE = "<img src=x onerror=alert(1)>&'"


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    """A graph whose labels would be tags."""
    labels = [f"{HOSTILE}{number}" for number in range(5)]
    return write_model(tmp_path_factory.mktemp("hostile"), graph=TinyGraph(labels=labels))


@pytest.fixture(params=["graph", "server"])
def source(request, graph):
    if request.param == "graph":
        yield ["--graph", str(graph)]
        return
    with server_thread(graph.parents[2]) as server:
        yield ["--server", server.address]


@pytest.fixture
def page(source, graph, tmp_path, monkeypatch):
    """Six photos: three predictions that are right, two that are wrong, and one file that is not an image."""
    monkeypatch.chdir(tmp_path)
    lines = ["name,label"]
    for number in range(5):
        path = tmp_path / f"{HOSTILE.replace('/', '')}{number}.png"
        path.write_bytes(png(width=400 + number, height=300, seed=number))
        classes = [score.class_index for score in Explainer(graph).explain(path.read_bytes()).predictions]
        lines.append(f"{path.name},{classes[0 if number < 3 else -1]}")
    (tmp_path / "bad.png").write_bytes(b"no image")
    (tmp_path / "truth.csv").write_text("\n".join(lines), encoding="utf-8")
    arguments = ["explain", ".", *source, "--truth", "truth.csv", "--report", "report.html"]
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 1, result.output
    assert "1 of 6 images" in result.stderr
    return Page((tmp_path / "report.html").read_text(encoding="utf-8"))


def test_wrong_predictions_come_first(page):
    verdicts = [row[1] for row in page.rows[1:]]
    assert verdicts == ["wrong", "wrong", "failed", "right", "right", "right"]
    assert {row[0] for row in page.rows[1:3]} == {f"{HOSTILE}3.png", f"{HOSTILE}4.png"}
    assert "bad.png" in page.rows[3][0]
    assert "3 of 5 predictions are right (60.0%); 1 could not be explained" in page.contents["p"]
    assert re.fullmatch(r"[0-9a-f]{64}|not stated", page.contents["code"])
    assert "Certificate: passed" in page.contents["summary"]


def test_nothing_of_a_name_or_label_is_a_tag_and_nothing_is_fetched(page):
    for tag, attributes in page.tags:
        assert not any(name.startswith("on") for name in attributes)
        assert tag not in {"a", "link", "iframe", "object", "base"}
        if "src" in attributes:
            assert attributes["src"].startswith("data:image/jpeg;base64,")
    assert any(HOSTILE in row[2] for row in page.rows[1:])


def test_the_policy_allows_the_script_and_the_style_alone(page):
    [policy] = [attributes["content"] for tag, attributes in page.tags if "http-equiv" in attributes]
    assert policy.startswith("default-src 'none'; img-src data:;")
    for name in ("script", "style"):
        digest = base64.b64encode(hashlib.sha256(page.contents[name].encode()).digest()).decode()
        assert f"{name}-src 'sha256-{digest}'" in policy


def test_each_row_has_the_photo_and_its_maps(page):
    # Wrong: the photo, the predicted class, the right class, their contrast. Right: no map twice.
    assert len(page.pictures) == 2 * 4 + 3 * 3
    for picture in page.pictures:
        picture.load()
        assert max(picture.size) == 240


def test_objects_are_outlined_in_the_photo(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    onnx.save(FORMS["ssd"].build(), "detector.onnx")
    Image.fromarray(squares((Square("red", 8, 8), Square("green", 56, 32)))).save("street.png")
    options = ("--divisor", 255, "--mean", 0, "--std", 1, "--resize", "letterbox")
    assert camgraph("export", "detector.onnx", "-o", "graph.onnx", *options).exit_code == 0
    done = camgraph("explain", "street.png", "--graph", "graph.onnx", "--report", "report.html", "--json", "rows.json")
    assert done.exit_code == 0, done.output
    photo = np.asarray(Page(Path("report.html").read_text(encoding="utf-8")).pictures[0]).astype(int)
    [row] = json.loads(Path("rows.json").read_text(encoding="utf-8"))["images"]
    boxes = [item["box"] for item in row["predictions"]]
    assert len(boxes) == 2
    for left, top, right, bottom in boxes:
        middle = round((top + bottom) / 2)
        for edge in (left, right):
            near = photo[middle, max(round(edge) - 2, 0) : round(edge) + 3]
            assert near.min(axis=1).max() > 190, "a white line, of which JPEG takes a little"


def test_guided_grad_cam_is_on_the_page(source, graph, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "one.png").write_bytes(png())
    options = ["--method", "guided-grad-cam", "--top-k", "2", "--report", "report.html"]
    done = CliRunner().invoke(cli, ["explain", "one.png", *source, *options])
    assert done.exit_code == 0, done.output
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert len(Page(text).pictures) == 5
    assert text.count("<br>Guided Grad-CAM<") == 2


def test_a_page_without_truth(graph, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "one.png").write_bytes(png())
    result = CliRunner().invoke(cli, ["explain", "one.png", "--graph", str(graph), "--report", "made/report.html"])
    assert result.exit_code == 0, result.output
    found = Page((tmp_path / "made/report.html").read_text(encoding="utf-8"))
    assert found.rows[1][:2] == ["one.png", ""]
    assert "1 image." in found.contents["p"]
    assert len(found.pictures) == 2
