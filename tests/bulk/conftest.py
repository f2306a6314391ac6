"""Fixtures of bulk runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from camgraph_client.bulk.graph import Graph
from camgraph_client.bulk.settings import Asked
from camgraph_client.bulk.work import Work
from support.serving import png, write_model


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(tmp_path / "models")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder with five photos, of which one is broken, in folders of their own."""
    folder = tmp_path / "photos"
    for number in range(4):
        path = folder / str(number % 2) / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(seed=number, width=40 + number))
    (folder / "broken.jpg").write_bytes(b"not a picture")
    return folder


@pytest.fixture
def work(tmp_path: Path, model: Path) -> Work:
    asked = Asked()
    return Work(
        results=str(tmp_path / "results"),
        model_sha256=Graph.read(str(model)).sha256,
        asked=asked.keywords,
        kind=asked.map,
        numbers=asked.numbers,
        max_side=asked.max_side,
        device="cpu",
        cores=1,
        with_gpu=False,
        max_pixels=1_000_000,
        max_bytes=1 << 20,
    )
