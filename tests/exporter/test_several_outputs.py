"""Models with several outputs: scores are told from features, embeddings and auxiliary heads; a note names the rest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from support.exporting import in_memory
from support.nets import CLASSES, Net, trunk

Build = Callable[[Net, str], tuple[str, ...]]


def _features(net: Net, x: str, name: str) -> str:
    return net.node("Flatten", net.node("GlobalAveragePool", x), axis=1, name=name)


def _features_first(names: tuple[str, str]) -> Build:
    def build(net: Net, x: str) -> tuple[str, ...]:
        return names[0], net.linear(_features(net, x, names[0]), 16, CLASSES, name=names[1])

    return build


def _map_first(net: Net, x: str) -> tuple[str, ...]:
    return x, net.pooled_head(x, 16, name="b")


def _normalised_first(net: Net, x: str) -> tuple[str, ...]:
    features = _features(net, x, "pooled_features")
    return net.node("LpNormalization", features, axis=1, p=2, name="a"), net.linear(features, 16, CLASSES, name="b")


def _projection_first(net: Net, x: str) -> tuple[str, ...]:
    projected = net.pooled_head(x, 16, 12, name="a")
    return projected, net.node("Softmax", net.pooled_head(x, 16, name="z"), axis=1, name="b")


def _auxiliary_first(net: Net, x: str) -> tuple[str, ...]:
    early = net.pooled_head("block", 8, name="a")
    return early, net.pooled_head(net.node("Relu", net.conv(x, (16, 16))), 16, name="b")


def _named_auxiliary_first(net: Net, x: str) -> tuple[str, ...]:
    return net.pooled_head(x, 16, name="aux_1"), net.pooled_head(x, 16, name="out")


def _named_score_last(net: Net, x: str) -> tuple[str, ...]:
    return (
        net.pooled_head(x, 16, 7, name="a"),
        net.pooled_head(x, 16, 3, name="b"),
        net.pooled_head(x, 16, name="classScores"),
    )


def _both_plain(net: Net, x: str) -> tuple[str, ...]:
    return net.pooled_head(x, 16, 7, name="a"), net.pooled_head(x, 16, name="b")


CASES: list[tuple[str, Build, str, str, str]] = [
    ("features by name", _features_first(("features", "out")), "out", "'features' [N, 16]", "look like features"),
    ("features that scores are made of", _features_first(("a", "b")), "b", "'a' [N, 16]", "look like features"),
    ("a map", _map_first, "b", "'last' [N, 16, 8, 8]", "look like features"),
    ("an embedding of length one", _normalised_first, "b", "'a' [N, 16]", "look like features"),
    ("a projection", _projection_first, "b", "'a' [N, 12]", "holds probabilities"),
    ("an auxiliary head by its depth", _auxiliary_first, "b", "'a' [N, 5]", "most layers"),
    ("an auxiliary head by name", _named_auxiliary_first, "out", "'aux_1' [N, 5]", "look like features"),
    ("scores by name", _named_score_last, "classScores", "'a' [N, 7], 'b' [N, 3]", "its name speaks of 'class'"),
    ("nothing that tells", _both_plain, "a", "'b' [N, 5]", "it comes first"),
]


@pytest.mark.parametrize(
    ("build", "output", "others", "reason"), [case[1:] for case in CASES], ids=[c[0] for c in CASES]
)
def test_the_output_of_the_scores_is_found(tmp_path: Path, build: Build, output: str, others: str, reason: str) -> None:
    net = Net(seed=2)
    outputs = build(net, trunk(net, net.image()))
    model = net.model(*outputs, shapes=dict.fromkeys(outputs, ()))
    for info in model.graph.output:
        info.type.tensor_type.ClearField("shape")
    made = in_memory(model, tmp_path)
    assert made.manifest.head.output_name == output
    [note] = [note for note in made.manifest.notes if note.startswith("Of the model's outputs")]
    assert reason in note
    assert others in note
    assert "--score" in note


def test_as_many_labels_as_classes_tell_the_output(tmp_path: Path) -> None:
    net = Net(seed=2)
    outputs = _both_plain(net, trunk(net, net.image()))
    made = in_memory(net.model(*outputs, shapes={"a": ("N", 7)}), tmp_path, labels=tuple("vwxyz"))
    assert made.manifest.head.output_name == "b"
    assert any("as many classes as there are labels" in note for note in made.manifest.notes)


@pytest.mark.parametrize("sizes", [(4, 7), (7, 4), (4, 3)])
def test_four_numbers_of_each_candidate_are_its_box(sizes: tuple[int, int], tmp_path: Path) -> None:
    """As an SSD exports its heads, under names that say nothing; nothing is asked of coordinates among the classes."""
    net = Net(seed=2)
    maps = trunk(net, net.image())
    names = []
    for i, size in enumerate(sizes):
        turned = net.node("Transpose", net.conv(maps, (16, 2 * size), kernel=1), perm=[0, 2, 3, 1])
        names.append(net.node("Reshape", turned, net.ints(0, -1, size), name=f"cat_{i}"))
    shapes = {name: ("N", 128, size) for name, size in zip(names, sizes, strict=True)}
    made = in_memory(net.model(*names, shapes=shapes), tmp_path)
    assert made.manifest.head.num_classes == next(size for size in sizes if size != 4)
    notes = " ".join(made.manifest.notes)
    assert "state --head" in notes
    assert "count as classes" not in notes
    assert "come straight from a convolution" in notes


def test_scores_and_their_probabilities_are_one_and_need_no_note(tmp_path: Path) -> None:
    net = Net(seed=2)
    logits = net.pooled_head(trunk(net, net.image()), 16)
    made = in_memory(net.model(logits, net.node("Softmax", logits, axis=1, name="probabilities")), tmp_path)
    assert made.manifest.head.score_tensor == "logits"
    assert not any("outputs" in note for note in made.manifest.notes)
