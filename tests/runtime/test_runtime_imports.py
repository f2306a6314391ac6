"""What importing the runtime brings along, and what it offers."""

from __future__ import annotations

import ast
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

import camgraph_client
import camgraph_exporter
import camgraph_runtime
from camgraph_core.errors import DeviceError
from camgraph_runtime.run.engine import Engine
from support.fresh import loaded_by
from support.tiny_graph import TinyGraph

FOREIGN = {"torch", "onnx", "onnx_ir", "grpc", "onnxruntime", "click", "rich", "pygments"}
PICTURES = {"cv2", "PIL"}
LAZY = [camgraph_runtime, camgraph_client, camgraph_exporter]


@pytest.mark.parametrize(
    ("code", "brings", "never"),
    [
        ("import camgraph_runtime", set(), FOREIGN | PICTURES | {"numpy", "google"}),
        ("from camgraph_core.errors import UsageError", set(), FOREIGN | PICTURES | {"numpy", "google"}),
        ("from camgraph_runtime import MapStatistics, Target", {"numpy"}, FOREIGN | PICTURES | {"google"}),
        ("from camgraph_runtime import ClassScore, Explanation, Result", {"numpy"}, FOREIGN | PICTURES),
        (
            "from camgraph_runtime import Explainer; import camgraph_runtime.pictures.panel",
            {"numpy", "google"},
            FOREIGN,
        ),
    ],
)
def test_importing_brings_what_is_needed_and_no_more(code: str, brings: set[str], never: set[str]) -> None:
    loaded = loaded_by(code)
    assert brings <= loaded
    assert not loaded & never


def test_a_program_that_explains_takes_nothing_of_the_command_line_or_of_the_exporter(tmp_path: Path) -> None:
    (tmp_path / "tiny.onnx").write_bytes(TinyGraph().serialize())
    loaded = loaded_by(
        f"""
import numpy
from camgraph_runtime import Explainer

with Explainer({str(tmp_path / "tiny.onnx")!r}) as explainer:
    assert explainer.explain(numpy.zeros((8, 8, 3), numpy.uint8)).explanations[0].heatmap.shape == (8, 8)
"""
    )
    assert {"onnxruntime", "numpy"} <= loaded
    assert not loaded & (FOREIGN - {"onnxruntime"})


def test_a_missing_onnxruntime_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(DeviceError, match=r"Install camgraph\[cpu\] or camgraph\[gpu\]"):
        Engine(b"graph")


@pytest.mark.parametrize("package", LAZY, ids=lambda package: package.__name__)
def test_every_public_name_resolves_to_what_type_checkers_see(package: ModuleType) -> None:
    seen = names_for_type_checkers(package)
    assert set(seen) == set(package.__all__) == set(dir(package))
    for name, (module, name_there) in seen.items():
        assert getattr(package, name) is getattr(import_module(module), name_there)


def names_for_type_checkers(package: ModuleType) -> dict[str, tuple[str, str]]:
    """The names that a package imports under `TYPE_CHECKING`: from which module, and their names there."""
    assert package.__file__ is not None
    (block,) = [node for node in ast.parse(Path(package.__file__).read_text()).body if isinstance(node, ast.If)]
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    return {alias.asname or alias.name: (node.module or "", alias.name) for node in imports for alias in node.names}


@pytest.mark.parametrize("package", LAZY, ids=lambda package: package.__name__)
def test_an_unknown_name_is_refused_as_by_any_module(package: ModuleType) -> None:
    with pytest.raises(AttributeError, match=rf"module '{package.__name__}' has no attribute 'Explaner'"):
        _ = package.Explaner
