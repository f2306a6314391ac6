"""External weights: read, kept where they are too many for one file, and written beside the explainable graph."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from camgraph_core.errors import UsageError
from camgraph_exporter import export, storage
from camgraph_exporter.certificate.certify import certify
from camgraph_exporter.certificate.subject import Subject
from camgraph_runtime.digest import check_digest
from camgraph_runtime.manifest import manifest_from_metadata
from camgraph_runtime.run.engine import Engine
from support.nets import classifier


def _save_external(path: Path, *, opset: int = 17) -> None:
    onnx.save(
        classifier(opset=opset), path, save_as_external_data=True, location="weights.bin", size_threshold=0,
        convert_attribute=True,
    )  # fmt: skip  # a table, in rows of its own


def _weights(path: Path) -> np.ndarray:
    image = np.random.default_rng(0).standard_normal((2, 3, 16, 16)).astype(np.float32)
    engine = Engine(path)
    return engine.run({"image": image, "target": np.array([[-1, 0], [2, -2]])})["weights"]


@pytest.fixture
def embedded(tmp_path: Path) -> np.ndarray:
    """Channel weights that the export of the same model in one file gives."""
    onnx.save(classifier(), tmp_path / "whole.onnx")
    export(tmp_path / "whole.onnx", tmp_path / "whole.cam.onnx")
    return _weights(tmp_path / "whole.cam.onnx")


def test_external_weights_become_part_of_the_file(tmp_path: Path, embedded: np.ndarray) -> None:
    _save_external(tmp_path / "net.onnx")
    export(tmp_path / "net.onnx", tmp_path / "out" / "net.cam.onnx")
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["net.cam.onnx"]
    np.testing.assert_array_equal(_weights(tmp_path / "out" / "net.cam.onnx"), embedded)


@pytest.fixture
def tiny_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model of 2 GiB in small: the limit of a file lies below what the network's weights take."""
    monkeypatch.setattr(storage, "EMBEDDED_LIMIT", 1000)


@pytest.mark.usefixtures("tiny_limit")
@pytest.mark.parametrize("opset", [17, 11])
def test_weights_beyond_the_limit_lie_beside_the_graph(tmp_path: Path, embedded: np.ndarray, opset: int) -> None:
    _save_external(tmp_path / "net.onnx", opset=opset)
    out = tmp_path / "out" / "net.cam.onnx"
    export(tmp_path / "net.onnx", out)
    assert sorted(file.name for file in out.parent.iterdir()) == ["net.cam.onnx", "net.cam.onnx.data"]
    (tmp_path / "weights.bin").unlink()  # the graph stands by itself
    np.testing.assert_allclose(_weights(out), embedded, rtol=1e-6)

    proto = onnx.load(out, load_external_data=False)
    external = [t for t in proto.graph.initializer if onnx.external_data_helper.uses_external_data(t)]
    assert {{e.key: e.value for e in t.external_data}["location"] for t in external} == {"net.cam.onnx.data"}
    data = (out.parent / "net.cam.onnx.data").stat().st_size
    assert storage.written_bytes(out, out.parent) == out.stat().st_size + data
    assert storage.written_bytes(out, None) == out.stat().st_size
    assert data < 1.2 * (sum(4 * np.prod(t.dims) for t in external) + 4096)
    onnx.checker.check_model(str(out))

    digest = manifest_from_metadata(Engine(out).metadata).digest
    assert [file.name for file in digest.data_files] == ["net.cam.onnx.data"]
    check_digest(out, digest)


@pytest.mark.usefixtures("tiny_limit")
def test_a_graph_with_external_weights_is_verified(tmp_path: Path) -> None:
    _save_external(tmp_path / "net.onnx")
    out = tmp_path / "net.cam.onnx"
    export(tmp_path / "net.onnx", out)
    engine = Engine(out)
    manifest = manifest_from_metadata(engine.metadata, str(out))
    model = onnx.load(out, load_external_data=False)
    assert certify(Subject(model, manifest, engine, folder=tmp_path, seed=3)).passed


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        storage.write(classifier(), tmp_path / "net.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_target_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "net.onnx"
    source.write_bytes(b"x")
    with pytest.raises(UsageError, match="is a folder"):
        storage.check_target(tmp_path)
    with pytest.raises(UsageError, match="the model itself"):
        storage.check_target(source, source)
    with pytest.raises(UsageError, match="is a file, not a folder"):
        storage.check_target(source / "out.onnx", source)
    with pytest.raises(UsageError, match="is not a file"):
        storage.check_target(Path("/dev/null"))  # the system's administrator could replace it
    storage.check_target(tmp_path / "new" / "out.onnx", source)
