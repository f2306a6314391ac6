"""`camgraph explain` over many images: folders and patterns, files of all of them, true classes, runs broken off."""

from __future__ import annotations

import csv
import errno
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from camgraph_cli.main import cli
from camgraph_client.cli.photos import photos_of
from camgraph_client.cli.report.files import COLUMNS
from camgraph_client.cli.report.journal import NAME
from camgraph_runtime import Explainer, Target
from camgraph_runtime.manifest import METADATA_KEY
from support.serving import png
from support.tiny_graph import TinyGraph


@pytest.fixture(params=["graph", "server"])
def source(request, graph, address):
    return ["--graph", str(graph)] if request.param == "graph" else ["--server", address, "--model", "tiny"]


@pytest.fixture
def photos(tmp_path):
    """Five pictures in two folders, and things beside them that are none."""
    folder = tmp_path / "photos"
    for number, name in enumerate(("a.png", "b.png", "more/a.png", "more/c.jpg.png", "more/.hidden.png")):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(seed=number))
    (folder / "notes.txt").write_text("none")
    return folder


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def invoke(*arguments, code=0):
        result = CliRunner().invoke(cli, ["explain", *map(str, arguments)])
        assert result.exit_code == code, (result.output, result.exception)
        return result

    return invoke


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def wanted_of(graph, path, **options):
    return Explainer(graph).explain(path.read_bytes(), **options)


def test_a_folder_and_a_pattern_stand_for_their_pictures(run, source, photos, tmp_path):
    run("photos", *source, "-o", "photos/out", "--json", "all.json")
    names = ["a.png", "b.png", "more/a.png", "more/c.jpg.png"]
    assert [row["image"] for row in read(tmp_path / "all.json")["images"]] == [f"photos/{name}" for name in names]
    assert {path.name for path in (photos / "out").glob("*.panel.png")} == {
        "a_1.panel.png", "a_2.panel.png", "b.panel.png", "c.jpg.panel.png",
    }  # fmt: skip  # names
    run("photos", *source, "-o", "photos/out", "--json", "again.json")  # its own pictures are no photos
    assert read(tmp_path / "again.json") == read(tmp_path / "all.json")
    run("photos/**/a.png", *source, "--json", "pattern.json")
    assert [row["image"] for row in read(tmp_path / "pattern.json")["images"]] == ["photos/a.png", "photos/more/a.png"]


def test_frame_2_comes_before_frame_10(tmp_path):
    for name in ("10.png", "9.png", "009.png", "b1.png", "B/2.png"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).touch()
    for argument in (tmp_path / "in", tmp_path / "in" / "**" / "*.png"):
        found = [str(photo.path.relative_to(tmp_path / "in")) for photo in photos_of([argument], tmp_path / "out")]
        assert found == ["009.png", "9.png", "10.png", "B/2.png", "b1.png"]


@pytest.mark.parametrize(("argument", "text"), [("empty", "has no pictures"), ("photos/*.gif", "No file matches")])
def test_a_folder_or_pattern_without_pictures(run, photos, graph, tmp_path, argument, text):
    (tmp_path / "empty").mkdir()
    assert text in run(argument, "--graph", graph, code=2).stderr


def test_rows_say_what_a_result_says(run, source, photos, tmp_path, graph):
    bad = photos / "bad.png"
    bad.write_bytes(b"no image")
    result = run("photos", *source, "--target", "dog", "--json", "all.json", "--csv", "all.csv", code=1)
    assert "1 of 5 images could not be explained" in result.stderr
    document = read(tmp_path / "all.json")
    assert document["model"]["certificate"]["passed"] is True
    rows = {row["image"]: row for row in document["images"]}
    assert "not an image that can be read" in rows["photos/bad.png"]["error"]
    assert rows["photos/bad.png"].keys() == rows["photos/a.png"].keys()
    wanted = wanted_of(graph, photos / "a.png", targets=[Target.of_label("dog")])
    [explanation], [found] = wanted.explanations, rows["photos/a.png"]["explanations"]
    assert [item["label"] for item in rows["photos/a.png"]["predictions"]] == [p.label for p in wanted.predictions]
    assert found["target"]["label"] == "dog"
    assert found["target"]["score"] == pytest.approx(explanation.target.score)
    assert found["statistics"]["maximum"] == pytest.approx(explanation.statistics.maximum)
    assert [region["energy"] for region in found["hot_regions"]] == pytest.approx(
        [region.energy for region in explanation.hot_regions]
    )
    with (tmp_path / "all.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    assert tuple(lines[0]) == COLUMNS
    assert {line["image"]: line["error"] for line in lines} == {name: row["error"] or "" for name, row in rows.items()}
    [line] = [line for line in lines if line["image"] == "photos/a.png"]
    assert float(line["score"]) == pytest.approx(explanation.target.score)
    assert line["certificate"] == "passed"


def test_the_digest_is_that_of_the_file(run, photos, graph, tmp_path):
    run("photos/a.png", "--graph", graph, "--json", "all.json")
    copy = tmp_path / "copy.onnx"
    shutil.copy(graph, copy)
    run("photos/a.png", "--graph", copy, "--json", "copy.json")
    first, second = read(tmp_path / "all.json")["model"], read(tmp_path / "copy.json")["model"]
    assert len(first["sha256"]) == 64
    assert first["sha256"] == second["sha256"]


@pytest.mark.parametrize("kind", ["npy", "png16"])
def test_maps_as_numbers(run, source, photos, tmp_path, graph, kind):
    run("photos/a.png", *source, "--target", "dog", "--maps", kind, "--json", "all.json")
    [row] = read(tmp_path / "all.json")["images"]
    path = tmp_path / row["explanations"][0]["map"]
    [explanation] = wanted_of(graph, photos / "a.png", targets=[Target.of_label("dog")]).explanations
    if kind == "npy":
        found = np.load(path)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, explanation.heatmap, atol=1e-6)
    else:
        with Image.open(path) as picture:
            np.testing.assert_allclose(np.asarray(picture) / 65535, explanation.heatmap, atol=1e-5)


def test_a_cell_is_no_formula(run, graph, tmp_path):
    (tmp_path / "=cmd.png").write_bytes(png())
    run("=cmd.png", "--graph", graph, "--csv", "all.csv")
    with (tmp_path / "all.csv").open(encoding="utf-8", newline="") as file:
        assert {line["image"] for line in csv.DictReader(file)} == {"'=cmd.png"}


def test_truth_from_a_file_and_from_folders(run, source, photos, tmp_path, graph):
    paths = [photos / "a.png", photos / "b.png"]
    best = [wanted_of(graph, path).predictions for path in paths]
    right, wrong = best[0][0].label, best[1][-1].label
    (tmp_path / "truth.csv").write_text(f"name,label\nphotos/a.png,{right}\nb.png,{wrong}\n", encoding="utf-8")
    run(*paths, *source, "--truth", "truth.csv", "--json", "file.json")
    first, second = read(tmp_path / "file.json")["images"]
    assert (first["correct"], second["correct"]) == (True, False)
    assert [item["title"] for item in first["explanations"]] == [right, f"{right}, not {best[0][1].label}"]
    predicted = best[1][0].label
    assert [item["title"] for item in second["explanations"]] == [predicted, wrong, f"{predicted}, not {wrong}"]
    contrast = Target.of_label(predicted, contrast=Target.of_label(wrong))
    [explanation] = wanted_of(graph, paths[1], targets=[contrast]).explanations
    assert second["explanations"][2]["statistics"]["maximum"] == pytest.approx(explanation.statistics.maximum, rel=1e-4)
    for path, label in zip(paths, (right, wrong), strict=True):
        target = tmp_path / "by_class" / label / path.name
        target.parent.mkdir(parents=True)
        shutil.copy(path, target)
    run("by_class", *source, "--truth", "folder", "--json", "folder.json")
    rows = {row["image"].rsplit("/")[-1]: row for row in read(tmp_path / "folder.json")["images"]}
    assert rows["a.png"]["explanations"] == first["explanations"]
    assert rows["b.png"]["explanations"] == second["explanations"]


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        ("name,label\na.png,nobody\n", [], "No class has the label 'nobody'"),
        ("a.png,99\n", [], "There is no class 99"),
        ("a.png,-1\n", [], "not a label or an index"),
        ("a.png\n", [], "is not name,label"),
        ("a.png,cat\na.png,dog\n", [], "two labels for a.png"),
        ("zebra.png,cat\n", [], "names none of the images"),
        ("a.png,cat\n", ["photos/more/a.png"], "the file name of 2 images"),
        ("a.png,cat\n", ["--target", "dog"], "leave out the options that name targets"),
    ],
)
def test_a_truth_that_cannot_be_used(run, photos, graph, tmp_path, text, options, said):
    (tmp_path / "truth.csv").write_text(text, encoding="utf-8")
    result = CliRunner().invoke(
        cli, ["explain", "photos/a.png", *options, "--graph", str(graph), "--truth", "truth.csv"]
    )
    assert result.exit_code in (1, 2)
    assert said in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_run_that_was_broken_off_goes_on(run, photos, graph, tmp_path, monkeypatch):
    images = ["photos", "--graph", graph, "--json", "all.json", "--report", "all.html"]
    run(*images)
    whole, page = read(tmp_path / "all.json"), (tmp_path / "all.html").read_text(encoding="utf-8")
    explained = []
    explain = Explainer.explain

    def counted(self, image, **options):
        if len(explained) == 2:
            raise KeyboardInterrupt
        explained.append(image)
        return explain(self, image, **options)

    monkeypatch.setattr(Explainer, "explain", counted)
    run(*images, code=1)
    journal = tmp_path / "explanations" / NAME
    with journal.open("ab") as file:
        file.write(b'{"key": "cut o')  # as a machine that loses its power leaves it
    monkeypatch.setattr(
        Explainer, "explain", lambda self, image, **options: explained.append(image) or explain(self, image, **options)
    )
    assert "2 of 4 images were done by an earlier run" in run(*images).stderr
    assert len(explained) == len(set(explained)) == 4
    assert read(tmp_path / "all.json") == whole
    assert (tmp_path / "all.html").read_text(encoding="utf-8") == page
    assert not journal.exists()


@pytest.mark.parametrize(
    ("change", "target", "done"),
    [
        (Path.exists, "dog", 2),
        (lambda folder: (folder / "photos/a.png").write_bytes(png(seed=99, width=50)), "dog", 1),
        (lambda folder: (folder / "explanations/b.panel.png").unlink(), "dog", 1),
        (Path.exists, "cat", 0),
    ],
    ids=["nothing", "photo", "picture", "target"],
)
def test_what_has_changed_is_done_again(run, photos, graph, tmp_path, monkeypatch, change, target, done):
    explain = Explainer.explain

    def stopping(self, image, **options):
        if str(image) == "photos/more/a.png":
            raise KeyboardInterrupt
        return explain(self, image, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Explainer, "explain", stopping)
        run("photos", "--graph", graph, "--target", "dog", code=1)
    change(tmp_path)
    said = run("photos", "--graph", graph, "--target", target).stderr
    assert said == (f"{done} of 4 images were done by an earlier run that was broken off.\n" if done else "")


def test_names_that_are_long_or_not_text(run, graph, tmp_path):
    folder = tmp_path / "odd"
    folder.mkdir()
    names = [b"\xff\xfe.png", b"x" * 240 + b".png", b"x" * 241 + b".png", "\u65e5".encode() * 80 + b".png"]
    for name in names:
        Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).write_bytes(png())
    run("odd", "--graph", graph, *("--json", "all.json", "--csv", "all.csv", "--report", "all.html"))
    assert [row["error"] for row in read(tmp_path / "all.json")["images"]] == [None] * 4
    assert len(list((tmp_path / "explanations").glob("*.panel.png"))) == 4


def test_a_folder_that_cannot_be_written_to(run, photos, graph, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("camgraph_client.cli.run.write_pictures", full)
    assert "explanations cannot be written to: No space left" in run("photos", "--graph", graph, code=2).stderr


def test_a_table_goes_down_a_pipe_and_through_a_link(run, photos, graph, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDWR | os.O_NONBLOCK)
    (tmp_path / "kept.csv").touch()
    (tmp_path / "link.csv").symlink_to("kept.csv")
    run("photos/a.png", "--graph", graph, "--json", "pipe", "--csv", "link.csv")
    assert json.loads(os.read(reader, 1 << 16))["images"][0]["image"] == "photos/a.png"
    os.close(reader)
    assert (tmp_path / "pipe").is_fifo()
    assert (tmp_path / "link.csv").is_symlink()
    assert "photos/a.png" in (tmp_path / "kept.csv").read_text(encoding="utf-8")


def test_a_file_that_has_changed_since_it_was_proven(run, photos, tmp_path):
    model = TinyGraph().model()
    [entry] = [entry for entry in model.metadata_props if entry.key == METADATA_KEY]
    manifest = json.loads(entry.value)
    entry.value = json.dumps({**manifest, "digest": {"graphSha256": "0" * 64}})
    (tmp_path / "changed.onnx").write_bytes(model.SerializeToString())
    run("photos/a.png", "--graph", "changed.onnx", "--json", "all.json", "--csv", "all.csv", "--report", "all.html")
    assert read(tmp_path / "all.json")["model"]["as_proven"] is False
    assert ",file changed\r\n" in (tmp_path / "all.csv").read_bytes().decode()
    assert "it has changed since it was proven" in (tmp_path / "all.html").read_text(encoding="utf-8")
