"""What tests of the runtime share."""

from __future__ import annotations

from pathlib import Path

import pytest

from camgraph_runtime import Explainer
from support.tasks import export_task, load
from support.tiny_explainer import ONE, TINY


@pytest.fixture(scope="module")
def explainer() -> Explainer:
    """The tiny graph, loaded."""
    return Explainer(TINY.serialize(), threads=ONE)


@pytest.fixture(scope="session")
def task_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the networks of every task are, and the graphs that were exported from them."""
    return tmp_path_factory.mktemp("tasks")


class TaskGraphs(dict[str, Explainer]):
    """A graph of every task by its name, exported at first use with everything that can be asked of it."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def __missing__(self, name: str) -> Explainer:
        self[name] = load(export_task(name, self._folder))
        return self[name]


@pytest.fixture(scope="session")
def task_graphs(task_folder: Path) -> dict[str, Explainer]:
    return TaskGraphs(task_folder)
