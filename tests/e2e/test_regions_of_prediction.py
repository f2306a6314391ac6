"""Polygons and regions the whole way: on the command line, in a program and over a server, with the same pictures."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from camgraph_client import Client
from camgraph_core.errors import InvalidInputError, TargetError
from camgraph_core.place import Mask, Place, Point, Polygon, Region
from camgraph_core.png import encode_png
from camgraph_runtime import Explainer, Target
from support.colour_segmenter import Block, export_segmenter, picture
from support.compare import assert_same
from support.exporting import camgraph
from support.serving import server_thread

SCENE = (
    Block("red", slice(4, 24), slice(4, 34)),
    Block("red", slice(30, 40), slice(8, 18)),
    Block("green", slice(10, 40), slice(44, 60)),
)
PHOTO = encode_png(picture(SCENE).repeat(3, axis=0).repeat(3, axis=1))
CORNERS = [(20.0, 20.0), (150.0, 30.0), (90.0, 130.0)]


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_segmenter(tmp_path_factory.mktemp("repository"), "--resize", "stretch")


@pytest.fixture(scope="module")
def address(graph: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("served")
    (folder / "colours.onnx").write_bytes(graph.read_bytes())
    with server_thread(folder) as server:
        yield server.address


REQUESTS: dict[str, dict[str, Any]] = {
    "a polygon": {"targets": [Target.of_label("red", place=Polygon(CORNERS))]},
    "regions": {"targets": [Target(place=Region(2)), Target.of_label("red", place=Region(2))]},
    "a point": {"targets": [Target(place=Point(150, 60)), Target(place=Point(1, 1), negative=True)]},
    "cells": {"targets": [Target.index(2, place=Mask(np.eye(48, 64), on_scores=True))]},
    "a class": {"top_k": 2},
    "a region with a contrast": {"targets": [Target(place=Region(3), contrast=Target.of_label("red"))]},
}


@pytest.mark.parametrize("name", REQUESTS)
def test_the_server_answers_like_the_runtime(graph: Path, address: str, name: str) -> None:
    outputs = ["overlay-png", "input-heatmap"]
    local = Explainer(graph).explain(PHOTO, outputs=outputs, **REQUESTS[name])
    with Client(address) as client:
        remote = client.model("colours").explain(PHOTO, outputs=outputs, **REQUESTS[name])
    assert_same(remote, local, outputs)
    for got, wanted in zip(remote.explanations, local.explanations, strict=True):
        assert wanted.marked is not None
        np.testing.assert_array_equal(got.mask, wanted.mask)
        np.testing.assert_array_equal(got.overlay(max_side=100), wanted.overlay(max_side=100))
    np.testing.assert_array_equal(remote.panel(), local.panel())


@pytest.mark.parametrize(
    ("place", "error", "said"),
    [
        (Region(70), TargetError, "There is no region 70 of the prediction: it has 4 in this image."),
        (Point(500, 1), InvalidInputError, "The network does not see the point 500, 1"),
        (Polygon([(500, 0), (600, 0), (600, 60)]), InvalidInputError, "The polygon covers no pixel of the score map"),
    ],
)
def test_the_server_refuses_what_is_not_there(address: str, place: Place, error: type[Exception], said: str) -> None:
    with Client(address) as client, pytest.raises(error, match=re.escape(said)):
        client.model("colours").explain(PHOTO, targets=[Target(place=place)])


WRITTEN = " ".join(f"{x},{y}" for x, y in CORNERS)


@pytest.mark.parametrize(
    ("options", "titles"),
    [
        (["--polygon", WRITTEN, "--target", "red"], ["red"]),
        (["--polygon", WRITTEN, "--polygon", "0,0 9,0 9,9", "--target", "red"], ["red", "red"]),
        (["--region", "2", "--region", "3"], ["red", "green"]),
        (["--target", "red", "--target", "green", "--region", "1"], ["red", "green"]),
        (["--at", "150,60"], ["green"]),
        (["--target", "red", "--at", "30,100", "--contrast", "green"], ["red_not_green"]),
    ],
)
def test_command_line(graph: Path, address: str, tmp_path: Path, options: list[str], titles: list[str]) -> None:
    (tmp_path / "photo.png").write_bytes(PHOTO)
    written = []
    for where in (["--graph", graph], ["--server", address, "--model", "colours"]):
        out = tmp_path / str(where[0]).strip("-")
        result = camgraph("explain", tmp_path / "photo.png", *where, *options, "-o", out)
        assert result.exit_code == 0, result.stderr
        written.append({path.name: path.read_bytes() for path in out.iterdir()})
    assert written[0] == written[1]
    assert [name.split("-", 1)[1] for name in sorted(written[0])[:-1]] == [f"{title}.png" for title in titles]


def test_a_mask_may_be_an_array(graph: Path, tmp_path: Path) -> None:
    (tmp_path / "photo.png").write_bytes(PHOTO)
    np.save(tmp_path / "mask.npy", SCENE[2].mask((48, 64)).repeat(3, axis=0).repeat(3, axis=1))
    result = camgraph(
        "explain", tmp_path / "photo.png", "--graph", graph, "--mask", tmp_path / "mask.npy", "--target", "green",
        "-o", tmp_path / "out",
    )  # fmt: skip  # a command, in rows of its own
    assert result.exit_code == 0, result.stderr
    [explanation] = Explainer(graph).explain(PHOTO, targets=[Target.index(2, place=Region(1))]).explanations
    assert (tmp_path / "out/photo.1-green.png").read_bytes() == explanation.overlay_png
