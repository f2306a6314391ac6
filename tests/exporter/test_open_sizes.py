"""Which size photos are brought to where a model takes images of any size: stated, in the metadata, or guessed."""

from __future__ import annotations

from pathlib import Path

import pytest

from camgraph.v1 import manifest_pb2 as pb
from camgraph_exporter import Input, export
from support.nets import Net

METADATA = "The size of the input, 96 x 64 pixels, is that of the file's own metadata ('imgsz')."
GUESS = "photos are brought to 224 x 224 pixels. State its own size with --input-size HxW"
STRETCH = Input(based_on="zero-one", resize="stretch")


def manifest_of(
    folder: Path, imgsz: str, *, sides: tuple[int | str, int | str] = ("h", "w"), **options: object
) -> pb.Manifest:
    net = Net()
    x = net.node("Relu", net.conv(net.image(("N", 3, *sides)), (3, 4), strides=[2, 2]))
    logits = net.pooled_head(x, 4)
    model = net.model(logits)
    if imgsz:
        model.metadata_props.add(key="imgsz", value=imgsz)
    # The options come from tables, in which a checker sees no types.
    return export(model, folder / "out.onnx", **{"input": STRETCH, **options}).manifest  # type: ignore[arg-type]  # options of any kind


def size_of(manifest: pb.Manifest) -> tuple[int, int]:
    [step] = manifest.input.steps
    return step.resize_to.height, step.resize_to.width


def notes_on_size(manifest: pb.Manifest) -> list[str]:
    return [note for note in manifest.notes if "photos are brought to" in note or "imgsz" in note]


def test_the_size_of_training_is_read_from_the_metadata(tmp_path: Path) -> None:
    manifest = manifest_of(tmp_path, "[64, 96]")
    assert size_of(manifest) == (64, 96)
    assert notes_on_size(manifest) == [METADATA]


@pytest.mark.parametrize("imgsz", ["", "64", "[0, 0]", "[9999, 9999]", "[64, 64, 64]", "[16, 64]", "[x, 64]"])
def test_a_guessed_size_is_said(imgsz: str, tmp_path: Path) -> None:
    manifest = manifest_of(tmp_path, imgsz)
    assert size_of(manifest) == (224, 224)
    [note] = notes_on_size(manifest)
    assert GUESS in note


@pytest.mark.parametrize("options", [{"input_size": (32, 48)}, {"sides": (32, 48)}], ids=["stated", "fixed"])
def test_a_known_size_is_not_talked_about(options: dict[str, object], tmp_path: Path) -> None:
    manifest = manifest_of(tmp_path, "[64, 96]", **options)  # type: ignore[arg-type]  # as above
    assert size_of(manifest) == (32, 48)
    assert notes_on_size(manifest) == []


def test_images_that_keep_their_size_have_none(tmp_path: Path) -> None:
    manifest = manifest_of(tmp_path, "", input=Input(based_on="zero-one", resize="none"))
    assert notes_on_size(manifest) == []
