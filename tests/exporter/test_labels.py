"""Labels: every usual way to write them down gives the same list, and what is no list is refused."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest
from onnx import helper

from camgraph_core.errors import UsageError
from camgraph_exporter.labels import labels_in_metadata, read_labels
from support.exporting import camgraph, exported
from support.nets import CLASSES, classifier

NAMES = ("ant", "bee", "Löwe", "dog", "elk")
BY_INDEX = {str(i): name for i, name in enumerate(NAMES)}
BY_NAME = {name: i for i, name in enumerate(NAMES)}

SAME = {
    "plain": "\n".join(NAMES),
    "trailing newlines": "\n".join(NAMES) + "\n\n",
    "carriage returns": "\r\n".join(NAMES) + "\r\n",
    "spaces around": "\n".join(f" {name}\t" for name in NAMES),
    "list": json.dumps(NAMES),
    "list on many lines": json.dumps(NAMES, indent=2),
    "list in UTF-8": json.dumps(NAMES, ensure_ascii=False, separators=(",", ":")),
    "by index": json.dumps(BY_INDEX),
    "by index, indented, after a newline": "\n" + json.dumps(BY_INDEX, indent=4),
    "by index, in another order": json.dumps(dict(reversed(BY_INDEX.items()))),
    "by name": json.dumps(BY_NAME),
    "configuration": json.dumps({"hidden": [1, 2], "model_type": "vit", "id2label": BY_INDEX, "label2id": BY_NAME}),
    "configuration by name": json.dumps({"depth": 3, "label2id": BY_NAME}),
    "code and name": json.dumps({i: [f"n0{i}", name] for i, name in BY_INDEX.items()}),
    "categories": json.dumps([{"name": name, "id": i} for name, i in BY_NAME.items()]),
    "Python's own print": str(dict(enumerate(NAMES))),
    "Python's list": str(list(NAMES)),
}


@pytest.mark.parametrize("mark", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("text", SAME.values(), ids=SAME)
def test_every_spelling_gives_the_same_labels(text: str, mark: str, tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_bytes(text.encode(mark))
    assert read_labels(tmp_path / "labels.txt") == NAMES


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("ant\n\ncat\n", ("ant", "", "cat")),
        ("\nbee\n", ("", "bee")),
        ("ant\r\n\r\n\r\ndog\r\n", ("ant", "", "", "dog")),
        ('{"0": "ant", "3": "dog"}', ("ant", "", "", "dog")),
        ('["ant", null, "cat"]', ("ant", "", "cat")),
        ("[unk]\nbee\n", ("[unk]", "bee")),
        ('{"3": 0, "7": 1}', ("3", "7")),
        ("[3, 7]", ("3", "7")),
        ("a b, c\nd\x0be\n", ("a b, c", "d\x0be")),
    ],
)
def test_classes_without_a_name_and_odd_names(text: str, labels: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_bytes(text.encode())
    assert read_labels(tmp_path / "labels.txt") == labels


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"0": "ant",\n "1" "bee"}', "in line 2"),
        ("[" * 100_000 + "]" * 100_000, "more than 8 deep"),
        ("{}", "it is empty"),
        ('{"ant": "bee"}', "'ant' is not the index of a class"),
        ('{"0": "ant", "0": "bee"}', "'0' is in it twice"),
        ('{"ant": 0, "bee": 0}', "two names have the same index"),
        ('{"0": "ant", "90000000000": "bee"}', "its indices go from 0 to 90000000000"),
        ('{"-1": "ant"}', "its indices go from -1 to -1"),
        ('[{"a": 1}]', "is not a label"),
        ("[true]", "True is not a label"),
        ('["\\ud800"]', "half of a letter"),
        (" \n", "is empty"),
    ],
)
def test_json_that_names_no_classes_is_refused(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "labels.json").write_text(text, encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        read_labels(tmp_path / "labels.json")
    assert said in str(caught.value)
    assert len(str(caught.value)) < 400


def test_a_label_without_a_name_is_exported_as_such(tmp_path: Path) -> None:
    graph = exported(classifier(), tmp_path, labels=("ant", "", "cat", "dog", "elk"))
    assert list(graph.manifest.class_labels) == ["ant", "", "cat", "dog", "elk"]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("names", str(dict(enumerate(NAMES)))),
        ("names", json.dumps(NAMES)),
        ("id2label", json.dumps(BY_INDEX)),
        ("classes", str(list(NAMES))),
    ],
)
def test_the_files_own_names_are_the_default(key: str, value: str, tmp_path: Path) -> None:
    model = classifier()
    helper.set_model_props(model, {"author": "somebody", key: value})
    graph = exported(model, tmp_path)
    assert tuple(graph.manifest.class_labels) == NAMES
    assert f"The labels are those of the file's own metadata ({key!r})." in graph.manifest.notes
    own = tuple("vwxyz")
    assert tuple(exported(model, tmp_path, labels=own).manifest.class_labels) == own


@pytest.mark.parametrize(
    "value",
    ["{0: 'ant'}", "no list", "{0: open('/etc/passwd')}", "(" * 5000, str(["x" * 9_000_000] * 1), ""],
    ids=["another count", "text", "code", "deep", "long", "empty"],
)
def test_names_that_do_not_fit_are_left_alone(value: str) -> None:
    assert labels_in_metadata({"names": value}, CLASSES) == ((), "")


def test_the_command_line_says_what_is_wrong(tmp_path: Path) -> None:
    exported(classifier(), tmp_path)
    (tmp_path / "labels.json").write_text(json.dumps(BY_INDEX | {"5": "fox"}, indent=1))
    result = camgraph(
        "export", tmp_path / "source.onnx", "-o", tmp_path / "cam.onnx", "--labels", tmp_path / "labels.json"
    )
    assert result.exit_code == 2
    assert "has 6 labels, but the score has 5 classes" in result.stderr


def _with_map(labels: dict[str, list[str] | list[int]], metadata: str = "") -> onnx.ModelProto:
    """A classifier whose probabilities are handed out as maps from label to number, as scikit-learn's converters do."""
    model = classifier(softmax=True)
    for i, (kind, given) in enumerate(labels.items()):
        node = helper.make_node("ZipMap", ["probabilities"], [f"maps_{i}"], domain="ai.onnx.ml", **{kind: given})
        model.graph.node.append(node)
        key = onnx.TensorProto.STRING if kind == "classlabels_strings" else onnx.TensorProto.INT64
        number = helper.make_tensor_type_proto(onnx.TensorProto.FLOAT, ())
        one = helper.make_map_type_proto(key, number)
        model.graph.output.append(helper.make_value_info(f"maps_{i}", helper.make_sequence_type_proto(one)))
    model.opset_import.append(helper.make_opsetid("ai.onnx.ml", 2))
    if metadata:
        helper.set_model_props(model, {"names": metadata})
    return model


_TEXTS, _NUMBERS = "classlabels_strings", "classlabels_int64s"
_CODES = [3, 1, 4, 15, 9]


@pytest.mark.parametrize(
    ("labels", "metadata", "expected"),
    [
        ({_TEXTS: list(NAMES)}, "", NAMES),
        ({_NUMBERS: _CODES}, "", ("3", "1", "4", "15", "9")),
        ({_NUMBERS: _CODES}, json.dumps(NAMES), NAMES),
        ({_TEXTS: list(NAMES), _NUMBERS: _CODES}, "", ()),
    ],
    ids=["texts", "numbers", "metadata first", "two that differ"],
)
def test_labels_of_a_map(
    labels: dict[str, list[str] | list[int]], metadata: str, expected: tuple[str, ...], tmp_path: Path
) -> None:
    made = exported(_with_map(labels, metadata), tmp_path)
    assert tuple(made.manifest.class_labels) == expected
    said = any("The labels are those of the file's own map 'maps_0'." in note for note in made.manifest.notes)
    assert said == (bool(expected) and not metadata)


def test_labels_of_a_user_come_before_those_of_a_map(tmp_path: Path) -> None:
    own = tuple(name.upper() for name in NAMES)
    assert tuple(exported(_with_map({_NUMBERS: _CODES}), tmp_path, labels=own).manifest.class_labels) == own
