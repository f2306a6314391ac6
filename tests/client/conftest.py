from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.serving import png, server_thread, write_model


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_model(folder)
    return folder


@pytest.fixture(scope="session")
def address(repository: Path) -> Iterator[str]:
    with server_thread(repository) as server:
        yield server.address


@pytest.fixture(scope="session")
def graph(repository: Path) -> Path:
    return repository / "tiny" / "1" / "model.onnx"


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    path.write_bytes(png())
    return path
