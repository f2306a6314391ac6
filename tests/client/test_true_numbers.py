"""`camgraph explain --truth` for models of numbers."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import onnx
import pytest

from camgraph_runtime import Explainer, Target
from support.exporting import camgraph, complaint
from support.nets import Net, trunk
from support.report_page import Page
from support.serving import png, server_thread
from support.tasks import export_task

NAMES = ("yaw", "pitch", "roll")


def pose(folder: Path) -> Path:
    """A graph of three numbers."""
    net = Net(seed=3)
    numbers = net.pooled_head(trunk(net, net.image()), 16, 3, name="pose")
    onnx.save(net.model(numbers, shapes={numbers: ("N", 3)}), folder / "pose.onnx")
    (folder / "names.txt").write_text("\n".join(NAMES))
    options = ("--task", "regression", "--labels", folder / "names.txt", "--preset", "zero-one")
    done = camgraph("export", folder / "pose.onnx", "-o", folder / "pose.cam.onnx", *options)
    assert done.exit_code == 0, done.output
    return folder / "pose.cam.onnx"


@pytest.fixture(scope="module")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("numbers")
    of_tasks = {name: export_task(name, folder) for name in ("regression", "dense-regression")}
    return {**of_tasks, "pose": pose(folder)}


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    monkeypatch.chdir(tmp_path)
    paths = [tmp_path / "photos" / f"{number}.png" for number in range(4)]
    paths[0].parent.mkdir()
    for number, path in enumerate(paths):
        path.write_bytes(png(32, 32, seed=number))
    return paths


def values(graph: Path, path: Path) -> np.ndarray:
    return np.array([score.value for score in Explainer(graph).explain(path).predictions])


def explained(*options: object) -> tuple[dict[str, dict], list[dict[str, str]], Page]:
    """The rows of the JSON file by image, the lines of the CSV file, and the page."""
    kept = ("--json", "rows.json", "--csv", "rows.csv", "--report", "page.html")
    done = camgraph("explain", "photos", *options, *kept)
    assert done.exit_code == 0, done.output
    rows = json.loads(Path("rows.json").read_text(encoding="utf-8"))["images"]
    with Path("rows.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    return {Path(row["image"]).name: row for row in rows}, lines, Page(Path("page.html").read_text(encoding="utf-8"))


@pytest.mark.parametrize("task", ["regression", "dense-regression"])
@pytest.mark.parametrize("through", ["graph", "server"])
def test_the_largest_error_comes_first_and_its_direction_is_explained(
    graphs: dict[str, Path], photos: list[Path], tmp_path: Path, task: str, through: str
) -> None:
    predicted = [values(graphs[task], path)[0] for path in photos]
    errors = [0.5, -3.25, 2.0]  # the fourth image is not in the file
    lines = [f"{path.name},{value - error:.9g}" for path, value, error in zip(photos, predicted, errors, strict=False)]
    Path("truth.csv").write_text("\n".join(["name,age", *lines]), encoding="utf-8")
    if through == "graph":
        rows, table, page = explained("--graph", graphs[task], "--truth", "truth.csv")
    else:
        models = tmp_path / "models" / "numbers" / "1"
        models.mkdir(parents=True)
        (models / "model.onnx").write_bytes(graphs[task].read_bytes())
        with server_thread(tmp_path / "models") as server:
            rows, table, page = explained("--server", server.address, "--truth", "truth.csv")
    for path, error, value in zip(photos, errors, predicted, strict=False):
        row = rows[path.name]
        assert row["deviations"] == pytest.approx([error], abs=1e-4)
        assert row["truth"]["values"] == pytest.approx([value - error], abs=1e-4)
        assert row["correct"] is None
        [item] = row["explanations"]
        assert item["title"] == ("more" if error > 0 else "less")
        wanted = Explainer(graphs[task]).explain(path, targets=[Target.index(int(error > 0))]).explanations[0]
        assert item["statistics"]["maximum"] == pytest.approx(wanted.statistics.maximum, rel=1e-4, abs=1e-9)
        [line] = [line for line in table if line["image"] == row["image"]]
        assert float(line["deviation"]) == pytest.approx(error, abs=1e-4)
        assert float(line["predicted"]) == pytest.approx(value, rel=1e-5)
    assert rows["3.png"]["truth"] is rows["3.png"]["deviations"] is None
    heads, *cells = page.rows
    assert "".join(heads) == ""  # the headings are buttons
    assert [Path(row[0]).name for row in cells] == ["1.png", "2.png", "0.png", "3.png"]
    assert [row[3] for row in cells] == ["-3.25", "+2", "+0.5", ""]
    assert float(cells[0][1]) == pytest.approx(predicted[1] + 3.25, rel=1e-5)
    assert float(cells[0][2]) == pytest.approx(predicted[1], rel=1e-5)
    assert "the errors of 3 images are 1.92 on average, 3.25 at most" in page.contents["p"]
    assert len(page.pictures) == 8


def test_of_several_numbers_the_one_with_the_largest_error_is_explained(
    graphs: dict[str, Path], photos: list[Path]
) -> None:
    """The columns are named, in another order than the model's."""
    lines = ["name,roll,yaw,pitch"]
    wrong = [("yaw", 4.0), ("roll", -2.0), ("pitch", 1.0), ("yaw", -3.0)]
    for path, (name, error) in zip(photos, wrong, strict=True):
        true = dict(zip(NAMES, values(graphs["pose"], path), strict=True))
        true[name] -= error
        lines.append(f"photos/{path.name},{true['roll']:.9g},{true['yaw']:.9g},{true['pitch']:.9g}")
    Path("truth.csv").write_text("\n".join(lines), encoding="utf-8")
    rows, table, page = explained("--graph", graphs["pose"], "--truth", "truth.csv", "--predictions", 1)
    for path, (name, error) in zip(photos, wrong, strict=True):
        row, index = rows[path.name], NAMES.index(name)
        expected = [error if other == name else 0 for other in NAMES]
        assert row["deviations"] == pytest.approx(expected, abs=1e-4)
        [item] = row["explanations"]
        assert item["title"] == (name if error > 0 else f"against {name}")
        target = Target.index(index, negative=error < 0)
        wanted = Explainer(graphs["pose"]).explain(path, targets=[target]).explanations[0]
        assert item["statistics"]["maximum"] == pytest.approx(wanted.statistics.maximum, rel=1e-5, abs=1e-9)
    assert float(table[1]["deviation"]) == pytest.approx(-2, abs=1e-4)
    assert [Path(row[0]).name for row in page.rows[1:]] == ["0.png", "3.png", "1.png", "2.png"]
    assert page.rows[1][3].startswith("yaw +4, pitch ")


def test_the_name_of_a_folder_may_be_the_number(graphs: dict[str, Path], photos: list[Path]) -> None:
    for path, folder in zip(photos, ("31", "58.5", "7", "-2"), strict=True):
        moved = path.parent / folder / path.name
        moved.parent.mkdir()
        path.rename(moved)
    rows, _, _ = explained("--graph", graphs["regression"], "--truth", "folder")
    assert [rows[path.name]["truth"]["values"] for path in photos] == [[31.0], [58.5], [7.0], [-2.0]]


@pytest.mark.parametrize(
    ("graph", "text", "said"),
    [
        ("regression", "0.png,old\n", "has 'old' where the model gives a number"),
        ("regression", "0.png,nan\n", "has 'nan' where the model gives a number"),
        ("regression", "0.png\n", "is not name,number"),
        ("regression", "0.png,1\n0.png,2\n", "two numbers for 0.png"),
        ("regression", "0.png,1,2\n", "has 2 columns after the name, but the model gives 1 numbers"),
        ("pose", "0.png,1\n", "has 1 columns after the name, but the model gives 3 numbers"),
        ("pose", "name,yaw,yaw,roll\n0.png,1,2,3\n", "has two columns for one of the model's numbers"),
        ("pose", "name,yaw,pitch,nose\n0.png,1,2,3\n", "nose"),
        ("pose", "name,yaw,pitch,7\n0.png,1,2,3\n", "There is no target 7"),
    ],
)
def test_numbers_that_cannot_be_used(
    graphs: dict[str, Path], photos: list[Path], graph: str, text: str, said: str
) -> None:
    Path("truth.csv").write_text(text, encoding="utf-8")
    result = camgraph("explain", photos[0], "--graph", graphs[graph], "--truth", "truth.csv")
    assert said in complaint(result, exit_code=result.exit_code)
    assert result.exit_code in (1, 2)


def test_other_models_have_no_truth_of_this_kind(photos: list[Path], tmp_path: Path) -> None:
    graph = export_task("segmentation", tmp_path)
    result = camgraph("explain", photos[0], "--graph", graph, "--truth", "folder")
    assert "--truth is for classifiers and regressors" in complaint(result, exit_code=2)
