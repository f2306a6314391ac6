"""The commands export and inspect: what they print, write and refuse."""

from __future__ import annotations

import json
import os
from pathlib import Path

import onnx
import pytest

from camgraph.v1 import manifest_pb2 as pb
from camgraph_exporter.assemble.build import Built, build
from camgraph_exporter.choose.score import HEADS
from camgraph_exporter.layers.layers import TargetLayer
from camgraph_exporter.prepare.prepare import PreparedModel
from camgraph_exporter.tasks import Score
from camgraph_runtime.manifest import manifest_from_metadata
from camgraph_runtime.run.engine import Engine
from support.exporting import camgraph, complaint
from support.nets import CLASSES, Net, classifier, trunk
from support.serving import run_camgraph


@pytest.fixture
def net(tmp_path: Path) -> Path:
    onnx.save(classifier(softmax=True), tmp_path / "net.onnx")
    return tmp_path / "net.onnx"


def manifest_of(path: Path) -> pb.Manifest:
    return manifest_from_metadata(Engine(path).metadata, str(path))


def test_export_in_a_process_of_its_own(net: Path, tmp_path: Path) -> None:
    """As a user runs it: exit code, both streams, and nothing but the file."""
    out = tmp_path / "out" / "net.cam.onnx"
    done = run_camgraph("export", str(net), "-o", str(out), "--preset", "zero-one")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{out}: last (16 x 8 x 8), score logits, 5 classes" in done.stdout
    assert "checks passed" in done.stdout
    assert list(out.parent.iterdir()) == [out]
    assert out.stat().st_mode & 0o777 == 0o666 & ~_umask()

    failed = run_camgraph("export", str(net), "-o", str(out), "--layer", "nowhere")
    assert failed.returncode == 2
    assert failed.stdout == ""
    assert failed.stderr.startswith("Error: There is no layer 'nowhere'.")
    assert failed.stderr.count("\n") == 1


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_a_traceback_only_on_request(tmp_path: Path) -> None:
    (tmp_path / "noise.onnx").write_bytes(b"noise")
    plain = camgraph("export", tmp_path / "noise.onnx", "-o", tmp_path / "cam.onnx")
    debug = camgraph("export", tmp_path / "noise.onnx", "-o", tmp_path / "cam.onnx", "--debug")
    assert "Traceback" not in plain.output
    assert "Traceback" in debug.output
    assert debug.exit_code == 1


def test_a_guessed_input_is_said_so(net: Path, tmp_path: Path) -> None:
    guessed = camgraph("export", net, "-o", tmp_path / "cam.onnx")
    assert "the input was guessed" in guessed.stderr
    assert not manifest_of(tmp_path / "cam.onnx").input.stated
    stated = camgraph("export", net, "-o", tmp_path / "cam.onnx", "--preset", "imagenet")
    assert "guessed" not in stated.stderr
    assert manifest_of(tmp_path / "cam.onnx").input.stated


def test_what_the_user_states_is_in_the_manifest(net: Path, tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("".join(f"class {i}\n" for i in range(CLASSES)), encoding="utf-8")
    done = camgraph(
        "export", net, "-o", tmp_path / "cam.onnx", "--labels", tmp_path / "labels.txt", "--divisor", 255,
        "--mean", "0.5,0.4,0.3", "--std", 0.25, "--channel-order", "bgr", "--resize", "letterbox",
        "--layer", "block", "--layer", "stem", "--gradients",
    )  # fmt: skip  # a table, in rows of its own
    assert done.exit_code == 0, done.output
    manifest = manifest_of(tmp_path / "cam.onnx")
    assert list(manifest.class_labels) == [f"class {i}" for i in range(CLASSES)]
    assert list(manifest.input.mean) == [0.5, 0.4, 0.3]
    assert list(manifest.input.std) == [0.25] * 3
    assert manifest.input.channel_order == pb.CHANNEL_ORDER_BGR
    assert manifest.input.steps[0].letterbox.height == 16
    assert [layer.name for layer in manifest.layers] == ["block", "stem"]
    assert [layer.gradients_tensor for layer in manifest.layers] == ["gradients", "gradients_1"]
    assert manifest.source.file_name == "net.onnx"
    assert manifest.head.kind == pb.HEAD_KIND_SOFTMAX


def test_the_environment_and_a_file_say_the_same(net: Path, tmp_path: Path) -> None:
    config = tmp_path / "camgraph.toml"
    config.write_text('[export]\nlayer = ["stem"]\npreset = "raw"\n')
    assert camgraph("export", net, "-o", tmp_path / "cam.onnx", "--config", config).exit_code == 0
    assert manifest_of(tmp_path / "cam.onnx").layers[0].name == "stem"
    done = run_camgraph("export", str(net), "-o", str(tmp_path / "env.onnx"), CAMGRAPH_EXPORT_LAYER="stem")
    assert done.returncode == 0
    assert manifest_of(tmp_path / "env.onnx").layers[0].name == "stem"


@pytest.mark.parametrize(
    ("content", "complaint_about"),
    [
        (b"cat\ndog\n", "2 labels, but the score has 5 classes"),
        ("Löwe\n".encode("latin-1") * CLASSES, "is not UTF-8 text"),
        (None, "There is no labels file"),
    ],
    ids=["too short", "not UTF-8", "missing"],
)
def test_labels_that_cannot_be_used(content: bytes | None, complaint_about: str, net: Path, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "labels.txt").write_bytes(content)
    result = camgraph("export", net, "-o", tmp_path / "cam.onnx", "--labels", tmp_path / "labels.txt")
    assert complaint_about in complaint(result, exit_code=2)
    assert not (tmp_path / "cam.onnx").exists()


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--preset", "imagnet"), "imagnet"),
        (("--resize", "squash"), "squash"),
        (("--mean", "a,b,c"), "--mean"),
        (("--mean", "1,2"), "mean"),
        (("--std", "0"), "std"),
        (("--divisor", "0"), "divisor"),
        (("--input-size", "16by16"), "--input-size"),
        (("--input-size", "32x32"), "16 x 16"),
        (("--shorter-side", "0"), "--shorter-side"),
        (("--lair", "x"), "--lair"),
    ],
)
def test_wrong_options(options: tuple[str, ...], named: str, net: Path, tmp_path: Path) -> None:
    result = camgraph("export", net, "-o", tmp_path / "cam.onnx", *options)
    assert named in complaint(result, exit_code=2)
    assert not (tmp_path / "cam.onnx").exists()


def test_an_output_that_cannot_be_written(net: Path, tmp_path: Path) -> None:
    before = net.read_bytes()
    assert "is the model itself" in complaint(camgraph("export", net, "-o", net), exit_code=2)
    assert net.read_bytes() == before
    assert "is a folder" in complaint(camgraph("export", net, "-o", tmp_path), exit_code=2)
    in_file = camgraph("export", net, "-o", net / "cam.onnx")
    assert "is a file, not a folder" in complaint(in_file, exit_code=2)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_an_output_folder_without_permission(net: Path, tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o555)
    result = camgraph("export", net, "-o", tmp_path / "locked" / "cam.onnx")
    assert "does not allow it" in complaint(result, exit_code=2)


def test_a_failed_export_keeps_the_file_that_was_there(net: Path, tmp_path: Path) -> None:
    (tmp_path / "cam.onnx").write_bytes(b"precious")
    assert camgraph("export", net, "-o", tmp_path / "cam.onnx", "--layer", "nowhere").exit_code == 2
    assert (tmp_path / "cam.onnx").read_bytes() == b"precious"
    assert camgraph("export", net, "-o", tmp_path / "cam.onnx").exit_code == 0
    assert manifest_of(tmp_path / "cam.onnx").certificate.passed


def test_inspect_lists_layers_head_and_input(net: Path) -> None:
    result = camgraph("inspect", net)
    assert result.exit_code == 0, result.output
    for text in ("last", "block", "stem", "16 x 8 x 8", "softmax", "logits"):
        assert text in result.stdout
    as_json = json.loads(camgraph("inspect", net, "--json").stdout)
    assert as_json["auto_layer"] == "last"
    layers = {layer["name"]: layer for layer in as_json["layers"]}
    assert layers["stem"]["channels"] == 8
    assert layers["last"]["height"] == layers["last"]["width"] == 8
    assert layers["last"]["extra_cost"] < layers["stem"]["extra_cost"]
    assert as_json["score"]["score_tensor"] == "logits"


@pytest.mark.parametrize("name", ["last", "block", "stem"])
def test_what_inspect_lists_can_be_exported(name: str, net: Path, tmp_path: Path) -> None:
    assert camgraph("export", net, "-o", tmp_path / "cam.onnx", "--layer", name).exit_code == 0
    assert manifest_of(tmp_path / "cam.onnx").layers[0].name == name


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--task", "detection", "--class-axis", "2", "--head", "sigmoid"), (pb.TASK_DETECTION, 2, 64)),
        (("--task", "detection", "--class-axis", "1", "--head", "softmax"), (pb.TASK_DETECTION, 1, 6)),
    ],
)
def test_measured_is_the_score_that_was_named(
    options: tuple[str, ...], expected: tuple[int, int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scores [N, 6, 64] whose classes and boxes only the user can tell apart."""
    net = Net()
    maps = net.conv(trunk(net, net.image()), (16, 6), kernel=1)
    scores = net.node("Reshape", maps, net.ints(0, 6, 64), name="scores")
    onnx.save(net.model(scores, shapes={"scores": ("N", 6, 64)}), tmp_path / "source.onnx")
    measured = []

    def noting(prepared: PreparedModel, score: Score, layers: list[TargetLayer]) -> Built:
        measured.append((score.task.kind, score.class_axis, score.num_classes, score.kind))
        return build(prepared, score, layers)

    monkeypatch.setattr("camgraph_exporter.inspection.build", noting)
    result = camgraph("inspect", tmp_path / "source.onnx", "--measure", "--json", *options)
    assert result.exit_code == 0, result.output
    layers = json.loads(result.stdout)["layers"]
    assert measured == [(*expected, HEADS[options[-1]])] * len(layers)
    assert all(layer["measured_cost"] is not None for layer in layers)
