"""The work of one process: rows as they come in one process, or with their error."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from camgraph_client.bulk.images import SCHEMA, images_of
from camgraph_client.bulk.results import Results
from camgraph_client.bulk.work import Work, Worker, ahead
from camgraph_core.target import Target
from camgraph_runtime import Explainer, Threads
from camgraph_runtime.digest import digest_of_file


def rows_of(work: Work, model: Path, images: pa.Table) -> list[dict[str, Any]]:
    results = Results(work.results)
    results.add(images, 100)
    [part] = results.parts()
    Worker(work, model.read_bytes()).do(part)
    rows: list[dict[str, Any]] = pq.read_table(Path(work.results) / part.file).to_pylist()
    return rows


@pytest.mark.parametrize("with_gpu", [False, True], ids=["one by one", "in batches"])
def test_rows_are_what_one_process_gives(work: Work, model: Path, photos: Path, with_gpu: bool) -> None:
    explainer = Explainer(model, threads=Threads(intra_op=1))
    rows = rows_of(replace(work, with_gpu=with_gpu), model, images_of([str(photos)], "path", None))
    assert [Path(row["image"]).name for row in rows] == ["0.png", "2.png", "1.png", "3.png", "broken.jpg"]
    for row in rows[:4]:
        result = explainer.explain(row["image"])
        [wanted], [found] = result.explanations, row["explanations"]
        assert row["error"] is None
        assert (row["width"], row["height"]) == result.image_size
        assert [item["class_index"] for item in row["predictions"]] == [item.class_index for item in result.predictions]
        assert found["target"]["label"] == wanted.target.label
        assert found["target"]["score"] == pytest.approx(wanted.target.score, rel=1e-5)
        assert found["layers"] == list(wanted.layers)
        assert found["statistics"]["maximum"] == pytest.approx(wanted.statistics.maximum, rel=1e-5)
        heatmap = wanted.heatmap
        numbers = np.array(found["map"], np.int64).reshape(found["map_height"], found["map_width"])
        assert np.abs(numbers - np.rint(heatmap * np.float32(255))).max() <= (1 if with_gpu else 0)
        assert found["map_scale"] == 1 / 255
        assert row["model_sha256"] == digest_of_file(model).graph_sha256
    assert "is not an image that can be read" in rows[4]["error"]
    assert rows[4]["explanations"] is None


def test_each_image_can_have_a_class_of_its_own(work: Work, model: Path, photos: Path) -> None:
    path = str(photos / "0/0.png")
    rows = rows_of(work, model, pa.table([[path] * 4, ["", "3", "dog", "unicorn"]], schema=SCHEMA))
    assert [row["asked_target"] for row in rows] == [None, "3", "dog", "unicorn"]
    assert [row["explanations"] and row["explanations"][0]["target"]["class_index"] for row in rows[1:]] == [3, 1, None]
    assert "unicorn" in rows[3]["error"]
    best = Explainer(model).explain(path, targets=[Target.of_rank(1)]).explanations[0].target.class_index
    assert rows[0]["explanations"][0]["target"]["class_index"] == best


def test_what_cannot_be_read_or_is_too_large_is_a_row_with_its_error(work: Work, model: Path, photos: Path) -> None:
    (photos / "large.png").write_bytes(b"x" * ((1 << 20) + 1))
    names = [f"{photos}/gone.png", f"{photos}/large.png", "no-such-store://x"]
    rows = rows_of(work, model, pa.table([names, [""] * 3], schema=SCHEMA))
    assert "FileNotFoundError" in rows[0]["error"]
    assert "more than 1 MiB" in rows[1]["error"]
    assert "no-such-store" in rows[2]["error"]


def test_an_image_that_makes_the_program_fail_is_a_row_too(
    work: Work, model: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise TypeError("an axis too many")

    monkeypatch.setattr(Explainer, "finish", fails)
    rows = rows_of(work, model, images_of([str(photos / "0")], "path", None))
    assert [row["error"] for row in rows] == ["It could not be explained (TypeError: an axis too many)."] * 2


@pytest.mark.parametrize(
    ("kind", "numbers", "number"), [("signed", "8bit", pa.int8()), ("heatmap", "float16", pa.float16())]
)
def test_the_column_has_the_type_of_the_numbers(
    work: Work, model: Path, photos: Path, kind: Any, numbers: Any, number: pa.DataType
) -> None:
    asked = {**work.asked, **({"profile": "raw"} if kind == "signed" else {})}
    rows_of(replace(work, kind=kind, numbers=numbers, asked=asked), model, images_of([str(photos)], "path", None))
    [file] = Path(work.results).glob("part-*.parquet")
    explanation = pq.read_schema(file).field("explanations").type.value_type
    assert explanation.field("map").type.value_type == number


def test_no_maps_no_columns_for_them(work: Work, model: Path, photos: Path) -> None:
    rows = rows_of(replace(work, kind="none"), model, images_of([str(photos)], "path", None))
    assert not {"map", "map_scale"} & rows[0]["explanations"][0].keys()


def test_no_more_is_begun_ahead_than_asked() -> None:
    begun = 0
    lock = threading.Lock()

    def work(item: int) -> int:
        nonlocal begun
        with lock:
            begun += 1
        return item * 2

    with ThreadPoolExecutor(8) as pool:
        futures = ahead(pool, work, range(20), 3)
        assert next(futures).result() == 0
        pool.submit(lambda: None).result()
        assert begun <= 3
        assert [future.result() for future in futures] == [2 * item for item in range(1, 20)]
