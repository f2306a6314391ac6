"""Reference images of a request: each is a call of its own, for limits and records, also in streams."""

from __future__ import annotations

import queue
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

from camgraph_core.target import Target
from camgraph_runtime import Explainer
from support.serving import PATIENCE, png, server_thread
from support.tasks import export_task

PHOTO, REFERENCES = png(32, 32), [png(32, 32, seed=seed) for seed in (1, 2)]
TOKEN = "0123456789abcdef0123456789abcdef"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    shutil.copy(export_task("embedding", tmp_path_factory.mktemp("made")), folder / "embedding.onnx")
    return folder


@pytest.fixture
def limited(models: Path, tmp_path: Path) -> Iterator[str]:
    """A server whose client may send four requests at once, and hardly any after that."""
    clients = tmp_path / "clients.toml"
    clients.write_text(f"[clients.plant]\ntokens = ['{TOKEN}']\nrate = 0.001\nburst = 4", encoding="utf-8")
    with server_thread(models, clients=clients) as server:
        yield server.address


def inputs(references: list[bytes]) -> list[triton.InferInput]:
    made = []
    for name, texts in (("image", [PHOTO]), ("reference", references)):
        made.append(triton.InferInput(name, [len(texts)], "BYTES"))
        made[-1].set_data_from_numpy(np.array(texts, object))
    return made


def expected(models: Path) -> np.ndarray:
    explainer = Explainer(models / "embedding.onnx")
    rows = np.stack([explainer.explain(image).embedding for image in REFERENCES])
    [explanation] = explainer.explain(PHOTO, targets=[Target.similar_to(rows)]).explanations
    return explanation.heatmap


def test_each_reference_counts_for_the_rate_of_its_client(models: Path, limited: str) -> None:
    headers = {"authorization": f"Bearer {TOKEN}"}
    with triton.InferenceServerClient(limited) as client:
        found = client.infer("embedding", inputs(REFERENCES), headers=headers).as_numpy("heatmap")
        np.testing.assert_allclose(found, [expected(models)], rtol=1e-6)
        with pytest.raises(InferenceServerException, match="You send more than") as caught:
            client.infer("embedding", inputs(REFERENCES), headers=headers)
    assert caught.value.status() == "StatusCode.RESOURCE_EXHAUSTED"


def test_references_in_a_stream(models: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "camgraph.request")
    answers: queue.Queue[tuple[Any, Any]] = queue.Queue()
    with server_thread(models) as server, triton.InferenceServerClient(server.address) as client:
        client.start_stream(lambda result, error: answers.put((result, error)))
        client.async_stream_infer("embedding", inputs(REFERENCES), request_id="part")
        client.async_stream_infer("embedding", inputs([b"no image"]), request_id="bad")
        (good, none), (_, error) = (answers.get(timeout=PATIENCE) for _ in range(2))
        client.stop_stream()
    assert none is None
    np.testing.assert_allclose(good.as_numpy("heatmap"), [expected(models)], rtol=1e-6)
    assert "Reference 0: " in error.message()
    facts = [record.camgraph_facts for record in caplog.records if hasattr(record, "camgraph_facts")]
    statuses = {fact["item"]: fact["status"] for fact in facts if "item" in fact}
    assert statuses == {
        "part.0": "OK", "part.1": "OK", "part": "OK", "bad.0": "INVALID_ARGUMENT", "bad": "INVALID_ARGUMENT",
    }  # fmt: skip  # a table
