"""`camgraph explain` and `camgraph models`, in this process and as processes of their own."""

from __future__ import annotations

import os
import pty
import subprocess

import pytest
from click.testing import CliRunner
from PIL import Image

from camgraph_cli.main import cli
from camgraph_client.cli.pictures import slug, unique_names
from camgraph_core.png import encode_png
from camgraph_runtime import Explainer, Target
from camgraph_runtime.pictures.overlay import overlay
from support.saturating_cpu import asks_for_exact
from support.serving import PATIENCE, camgraph_command, photo, png, run_camgraph, server_thread, write_model
from support.tiny_graph import TinyGraph


@pytest.fixture(params=["graph", "server"])
def source(request, graph, address):
    """Options that name the two places where an image can be explained."""
    return ["--graph", str(graph)] if request.param == "graph" else ["--server", address, "--model", "tiny"]


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


@pytest.fixture
def run(out):
    def invoke(*arguments, **environment):
        return CliRunner().invoke(cli, ["explain", *map(str, arguments), "-o", str(out)], env=environment)

    return invoke


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def test_table_overlays_and_panel(run, source, image, out, graph):
    result = run(image, *source, "--target", "dog", "--target", "3", "--target", "-2", "--top-k", "1")
    assert result.exit_code == 0, result.stderr
    wanted = Explainer(graph).explain(
        png(), targets=[Target.of_label("dog"), Target.index(3), Target.of_rank(2)], top_k=1
    )
    for score in wanted.predictions:
        assert score.label in result.stdout
        assert f"{score.score:.3f}" in result.stdout
        assert f"{score.probability:.4f}" in result.stdout
    names = [explanation.target.label for explanation in wanted.explanations]
    expected = [f"photo.{number}-{name}.png" for number, name in enumerate(names, start=1)]
    assert files(out) == sorted([*expected, "photo.panel.png"])
    for name, explanation in zip(expected, wanted.explanations, strict=True):
        assert (out / name).read_bytes() == encode_png(overlay(photo(), explanation.heatmap))
    with Image.open(out / "photo.panel.png") as panel:
        assert panel.width > 4 * 200
    assert str(out / "photo.panel.png") in result.stdout


def test_panel_is_the_same_from_graph_and_server(run, image, out, graph, address):
    options = ["--target", "cat", "--contrast", "dog", "--negative", "--colormap", "viridis"]
    assert run(image, "--graph", graph, *options).exit_code == 0
    local = {name: (out / name).read_bytes() for name in files(out)}
    assert list(local) == ["photo.1-against_cat_not_dog.png", "photo.panel.png"]
    assert run(image, "--server", address, *options).exit_code == 0
    assert {name: (out / name).read_bytes() for name in files(out)} == local


def test_best_class_by_default(run, source, image, out, graph):
    assert run(image, *source).exit_code == 0
    best = Explainer(graph).explain(png()).predictions[0].label
    assert files(out) == [f"photo.1-{best}.png", "photo.panel.png"]


def test_contrast_and_negative_without_a_target_apply_to_the_best_classes(run, source, image, out):
    result = run(image, *source, "--negative", "--top-k", "2")
    assert result.exit_code == 0
    assert len([name for name in files(out) if "against" in name]) == 2


def test_warnings_are_printed(tmp_path, run, image):
    graph = TinyGraph()
    graph.linear = -abs(graph.linear)
    path = write_model(tmp_path / "dark", graph=graph)
    result = run(image, "--graph", path)
    assert result.exit_code == 0
    assert "note: " in result.stdout


def test_one_bad_image_does_not_lose_the_others(run, source, image, tmp_path, out):
    bad, empty, gone = tmp_path / "bad.png", tmp_path / "empty.png", tmp_path / "gone.png"
    bad.write_bytes(b"no image")
    empty.write_bytes(b"")
    good = tmp_path / "good.jpg"
    Image.fromarray(photo()).save(good)
    result = run(bad, image, empty, gone, good, *source)
    assert result.exit_code == 1
    assert {"photo.panel.png", "good.panel.png"} <= set(files(out))
    assert result.stderr.startswith("Error: 3 of 5 images could not be explained:\n")
    for path in (bad, empty, gone):
        assert result.stderr.count(str(path)) == 1
    assert "Traceback" not in result.stderr


def test_the_only_image_is_bad(run, source, tmp_path):
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no image")
    result = run(bad, *source)
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: {bad}: The image is not an image") or result.stderr.startswith(
        f"Error: {bad} is not an image"
    )


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--target", "99"], "0 to 4"),
        (["--target", "dgo"], "'dog'"),
        (["--target", "-9"], "rank 9"),
        (["--target", ""], "empty"),
        (["--contrast", "nobody"], "nobody"),
        (["--layer", "nowhere"], "last, conv"),
        (["--top-k", "6"], "5 classes"),
        (["--top-k", "-1"], "range"),
        (["--image-weight", "2"], "range"),
        (["--max-side", "0"], "range"),
        (["--method", "gradcam"], "grad-cam"),
    ],
)
def test_wrong_usage_is_the_same_from_graph_and_server(run, source, image, options, text):
    result = run(image, image, *source, *options)
    assert result.exit_code == 2, result.stderr
    assert text in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("method", ["grad-cam", "guided-grad-cam"])
def test_overlays_are_no_larger_than_asked(run, source, image, out, method):
    options = [*source, "--top-k", "2", "--method", method]
    assert run(image, *options, "--max-side", "20").exit_code == 0
    small = picture_sizes(out)
    assert run(image, *options, "--max-side", "4000").exit_code == 0
    large = picture_sizes(out)
    assert small.pop("photo.panel.png") == large.pop("photo.panel.png")
    assert len(small) == (2 if method == "grad-cam" else 4)
    assert set(small.values()) == {(20, 15)}
    assert large == dict.fromkeys(small, (40, 30))


def picture_sizes(folder):
    sizes = {}
    for path in folder.iterdir():
        with Image.open(path) as picture:
            sizes[path.name] = picture.size
    return sizes


def test_where_to_explain_must_be_said_once(run, image, graph, address):
    assert run(image).exit_code == 2
    assert run(image, "--graph", graph, "--server", address).exit_code == 2
    assert run(image, "--graph", graph, "--model", "tiny").exit_code == 2
    assert run("--graph", graph).exit_code == 2


def test_unknown_model(run, image, address):
    result = run(image, "--server", address, "--model", "tinny")
    assert result.exit_code == 2
    assert "'tiny'" in result.stderr


def test_graph_that_is_none(run, image, tmp_path):
    torn = tmp_path / "torn.onnx"
    torn.write_bytes(TinyGraph().serialize()[:300])
    result = run(image, "--graph", torn)
    assert result.exit_code == 1
    assert "torn.onnx" in result.stderr


def test_no_server(run, image):
    result = run(image, image, "--server", "127.0.0.1:1", "--timeout", "20")
    assert result.exit_code == 1
    assert "No server answers at 127.0.0.1:1" in result.stderr
    assert result.stderr.count("\n") == 1


def test_method_that_the_graph_does_not_support(run, image, tmp_path):
    path = write_model(tmp_path, graph=TinyGraph(gradients=False))
    result = run(image, "--graph", path, "--method", "hires-cam")
    assert result.exit_code == 1
    assert "--gradients" in result.stderr


def test_environment_and_config_file_say_the_same_as_flags(run, image, graph, out, tmp_path):
    def outcome(result):
        assert result.exit_code == 0, result.stderr
        found = {name: (out / name).read_bytes() for name in files(out)}
        for name in found:
            (out / name).unlink()
        return result.stdout, found

    flags = outcome(run(image, "--graph", graph, "--target", "dog", "--target", "-2", "--colormap", "turbo"))
    environment = outcome(
        run(
            image,
            CAMGRAPH_EXPLAIN_GRAPH=str(graph),
            CAMGRAPH_EXPLAIN_TARGET="'dog' -2",
            CAMGRAPH_EXPLAIN_COLORMAP="turbo",
        )
    )
    config = tmp_path / "camgraph.toml"
    config.write_text(f'[explain]\ngraph = "{graph}"\ntarget = ["dog", "-2"]\ncolormap = "turbo"\n')
    assert flags == environment == outcome(run(image, "--config", config))


def test_as_a_process_piped(image, graph, out, tmp_path):
    second = tmp_path / "second.png"
    second.write_bytes(png(seed=1))
    result = run_camgraph("explain", str(image), str(second), "--graph", str(graph), "-o", str(out))
    assert result.returncode == 0
    assert result.stderr == ""
    assert "\x1b" not in result.stdout
    assert len(files(out)) == 4


def test_progress_is_shown_on_a_terminal_only(image, graph, out, tmp_path):
    second = tmp_path / "second.png"
    second.write_bytes(png(seed=1))
    master, slave = pty.openpty()
    arguments = ["explain", str(image), str(second), "--graph", str(graph), "-o", str(out)]
    process = subprocess.Popen(
        camgraph_command(arguments),
        stdout=subprocess.DEVNULL,
        stderr=slave,
        env={**os.environ, "TERM": "xterm-256color"},
    )
    os.close(slave)
    shown = b""
    while True:
        try:
            part = os.read(master, 4096)
        except OSError:  # how Linux says that the other side has closed
            break
        shown += part
        if not part:
            break
    assert process.wait(PATIENCE) == 0
    os.close(master)
    assert b"explaining" in shown


def test_models_command(tmp_path):
    write_model(tmp_path, "good")
    (tmp_path / "torn.onnx").write_bytes(b"torn")
    with server_thread(tmp_path) as server:
        result = run_camgraph("models", "--server", server.address)
        from_environment = run_camgraph("models", CAMGRAPH_MODELS_SERVER=server.address)
    assert result.returncode == 0
    assert result.stdout == from_environment.stdout
    assert "features" in result.stdout
    assert "torn (version 1): torn.onnx cannot be loaded" in result.stdout


def test_models_command_without_a_server():
    missing = run_camgraph("models")
    assert missing.returncode == 2
    unreachable = run_camgraph("models", "--server", "127.0.0.1:1", "--timeout", "20")
    assert unreachable.returncode == 1
    assert unreachable.stderr.startswith("Error: No server answers at 127.0.0.1:1")


def test_names_of_files(tmp_path):
    paths = [tmp_path / "a" / "cat.png", tmp_path / "b" / "cat.jpg", tmp_path / "dog.png"]
    assert unique_names(paths) == ["cat_1", "cat_2", "dog"]
    assert slug("tabby, tabby cat/../x") == "tabby_tabby_cat_x"
    assert slug("日本") == "日本"
    assert slug("///") == "class"
    assert len(slug("x" * 100)) == 40


@pytest.mark.parametrize("options", [[], ["--fast-int8"]], ids=str)
def test_8_bit_kernels_are_exact_unless_told_otherwise(options, run, image, graph, saturating):
    result = run(image, "--graph", graph, *options)
    assert result.exit_code == 0, result.stderr
    assert [asks_for_exact(settings) for settings in saturating.settings] == [not options]
    assert "Note" not in result.stderr


def test_a_graph_that_exact_kernels_do_not_take_is_explained_with_a_note(run, image, graph, saturating):
    saturating.refuses_exact = True
    result = run(image, "--graph", graph)
    assert result.exit_code == 0, result.stderr
    assert "Note: On this CPU" in result.stderr


def test_fast_int8_is_no_option_of_a_request(run, image, address):
    result = run(image, "--server", address, "--fast-int8")
    assert result.exit_code == 2
    assert "--fast-int8 goes with --graph" in result.stderr


def test_hot_regions(run, source, image, graph):
    result = run(image, *source, "--target", "dog", "--hot-regions", "--hot-from", "0.75", COLUMNS="200")
    assert result.exit_code == 0, result.stderr
    [wanted] = Explainer(graph).explain(png(), targets=[Target.of_label("dog")], hot_from=0.75).explanations
    assert "Hot regions: dog" in result.stdout
    assert wanted.hot_regions
    for region in wanted.hot_regions:
        assert str(region.box) in result.stdout
        assert f"{region.energy:.4f}" in result.stdout
    assert "Hot regions" not in run(image, *source, "--target", "dog").stdout
