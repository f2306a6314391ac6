"""Files that are no usable ONNX model: one or two sentences, exit code 1, nothing written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from support.exporting import camgraph, complaint
from support.nets import classifier


def refused(source: Path, folder: Path) -> str:
    """Export and inspect a file that cannot be used; return what the export said."""
    before = sorted(folder.iterdir())
    said = complaint(camgraph("export", source, "-o", folder / "cam.onnx"), exit_code=1)
    complaint(camgraph("inspect", source), exit_code=1)
    assert sorted(folder.iterdir()) == before
    return said


def test_missing_file(tmp_path: Path) -> None:
    said = refused(tmp_path / "lost.onnx", tmp_path)
    assert said.startswith(f"Error: There is no file '{tmp_path / 'lost.onnx'}'")


def test_a_folder(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    assert "is a folder. Give the path of an .onnx file" in refused(tmp_path / "models", tmp_path)


def test_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "empty.onnx").touch()
    assert "is empty" in refused(tmp_path / "empty.onnx", tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"\x89PNG\r\n\x1a\n" + bytes(64), id="a picture"),
        pytest.param(b"import torch\n" * 20, id="a script"),
        pytest.param(b"PK\x03\x04" + bytes(range(256)), id="a zip archive, as PyTorch writes"),
        pytest.param(b"\x1c\x00\x00\x00TFL3" + bytes(64), id="a TensorFlow Lite file"),
        pytest.param(bytes(1000), id="zeros"),
        pytest.param(b"\n", id="one byte"),
    ],
)
def test_something_else(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "thing.onnx").write_bytes(content)
    said = refused(tmp_path / "thing.onnx", tmp_path)
    assert "ONNX" in said
    assert "again" in said


@pytest.mark.parametrize("seed", range(8))
def test_random_bytes(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    (tmp_path / "noise.onnx").write_bytes(rng.bytes(int(rng.integers(1, 5000))))
    assert "noise.onnx" in refused(tmp_path / "noise.onnx", tmp_path)


def _offsets() -> list[int]:
    """Offsets near both ends, where fields of the outer message begin, and everywhere between."""
    size = len(classifier().SerializeToString())
    rng = np.random.default_rng(0)
    return sorted({1, 2, 3, 5, 8, 13, *range(size - 16, size), *map(int, rng.integers(16, size - 16, 20))})


@pytest.mark.parametrize("offset", _offsets())
def test_a_truncated_file(offset: int, tmp_path: Path) -> None:
    """A download that broke off. Nowhere does the rest pass for a model."""
    (tmp_path / "cut.onnx").write_bytes(classifier().SerializeToString()[:offset])
    said = refused(tmp_path / "cut.onnx", tmp_path)
    assert "cut.onnx" in said
    assert "again" in said


@pytest.mark.parametrize("position", np.linspace(0.02, 0.5, 12))
def test_a_file_with_a_hole_never_ends_in_a_traceback(position: float, tmp_path: Path) -> None:
    """Bytes overwritten by zeros can still be a model with other weights; then it is exported, else refused."""
    content = bytearray(classifier().SerializeToString())
    start = int(position * len(content))
    content[start : start + 64] = bytes(64)
    (tmp_path / "hole.onnx").write_bytes(content)
    result = camgraph("export", tmp_path / "hole.onnx", "-o", tmp_path / "cam.onnx")
    if result.exit_code != 0:
        complaint(result, exit_code=1)
    assert (tmp_path / "cam.onnx").exists() == (result.exit_code == 0)


def _with_external_data(folder: Path) -> Path:
    onnx.save(classifier(), folder / "net.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0)
    return folder / "net.onnx"


def test_missing_external_data(tmp_path: Path) -> None:
    source = _with_external_data(tmp_path)
    (tmp_path / "weights.bin").unlink()
    said = refused(source, tmp_path)
    assert "weights.bin is missing" in said
    assert "Put the data files beside the model" in said


def test_external_data_that_is_too_short(tmp_path: Path) -> None:
    source = _with_external_data(tmp_path)
    data = (tmp_path / "weights.bin").read_bytes()
    (tmp_path / "weights.bin").write_bytes(data[: len(data) // 2])
    said = refused(source, tmp_path)
    assert f"weights.bin has {len(data) // 2} bytes" in said
    assert "needs" in said


def test_external_data_outside_the_models_folder(tmp_path: Path) -> None:
    """A model from elsewhere must not read files of its choice."""
    (tmp_path / "inner").mkdir()
    source = _with_external_data(tmp_path / "inner")
    model = onnx.load(source, load_external_data=False)
    (tmp_path / "weights.bin").write_bytes((tmp_path / "inner" / "weights.bin").read_bytes())
    for tensor in model.graph.initializer:
        next(entry for entry in tensor.external_data if entry.key == "location").value = "../weights.bin"
    source.write_bytes(model.SerializeToString())
    assert "outside the model's folder" in refused(source, tmp_path / "inner")


def test_an_input_without_a_producer(tmp_path: Path) -> None:
    model = classifier()
    model.graph.node[3].input[0] = "nowhere"
    onnx.save(model, tmp_path / "lost.onnx")
    said = refused(tmp_path / "lost.onnx", tmp_path)
    assert "nowhere" in said


def test_no_opset(tmp_path: Path) -> None:
    model = classifier()
    del model.opset_import[:]
    onnx.save(model, tmp_path / "net.onnx")
    assert "no version of the standard operators" in refused(tmp_path / "net.onnx", tmp_path)


@pytest.mark.parametrize("opset", [0, 3, 99])
def test_an_opset_that_nobody_knows(opset: int, tmp_path: Path) -> None:
    model = classifier()
    model.opset_import[0].version = opset
    onnx.save(model, tmp_path / "net.onnx")
    assert "opset" in refused(tmp_path / "net.onnx", tmp_path)


def test_an_operator_that_does_not_exist(tmp_path: Path) -> None:
    model = classifier()
    model.graph.node[4].op_type = "Convolute"
    onnx.save(model, tmp_path / "net.onnx")
    assert "Convolute" in refused(tmp_path / "net.onnx", tmp_path)


def test_nodes_in_a_circle(tmp_path: Path) -> None:
    model = classifier()
    model.graph.node[0].input[0] = "last"
    onnx.save(model, tmp_path / "net.onnx")
    assert "form a cycle" in refused(tmp_path / "net.onnx", tmp_path)
