"""What the user's options mean for one model: layers, labels, and how a photo becomes the input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.errors import UsageError
from camgraph_exporter.choose.input import MadeInput, make_input
from camgraph_exporter.choose.layers import choose_layers
from camgraph_exporter.errors import Problems
from camgraph_exporter.frontends.onnx_file import AUTO, LoadedModel
from camgraph_exporter.frontends.stated.preprocessing import merged
from camgraph_exporter.graph.dims import dims_of
from camgraph_exporter.graph.gradient_path import GradientPath
from camgraph_exporter.image.layout import sides_of
from camgraph_exporter.image.options import Input
from camgraph_exporter.labels import labels_in_maps, labels_in_metadata
from camgraph_exporter.layers.layers import TargetLayer
from camgraph_exporter.prepare.prepare import PreparedModel
from camgraph_exporter.tasks import Score
from camgraph_exporter.vjp.driver import opset_of


@dataclass(frozen=True)
class Choice:
    """What the options mean for a prepared model.

    `branches`: so many of the first layers are the parallel branches of one model.
    `opset`: the lowest at which the rules on the path can be written. `notes`: what the user should know of it.
    """

    layers: list[TargetLayer]
    branches: int
    input: pb.InputSpec
    labels: Sequence[str]
    opset: int
    notes: Sequence[str]


def choose(loaded: LoadedModel, prepared: PreparedModel, score: Score, labels: Sequence[str], stated: Input) -> Choice:
    """Find what the options name; all problems with them are reported together.

    Raises:
        ExportError: a layer is missing or cannot be explained.
        UsageError: labels or the input do not fit the model.

    """
    layers: list[TargetLayer] = []
    branches = 1
    made = MadeInput(pb.InputSpec())
    problems = Problems()
    for name in loaded.layers:
        with problems.collect():
            chosen = choose_layers(prepared, score, name, loaded.aliases)
            branches = len(chosen) if name == AUTO and not layers else branches
            layers += chosen
    with problems.collect():
        _check_labels(labels, score.num_classes)
    with problems.collect():
        made = choose_input(loaded, prepared, stated)
    problems.raise_all()
    path = GradientPath(prepared.graph, [layer.value for layer in layers], [score.value])
    labels, note = _labels(loaded, labels, score)
    notes = [*made.notes, *([note] if note else [])]
    return Choice(layers, branches, made.spec, labels, opset_of(path), notes)


def choose_input(loaded: LoadedModel, prepared: PreparedModel, stated: Input) -> MadeInput:
    """Return how a photo becomes the input: as the user states, completed by what the model states of itself.

    Raises:
        UsageError: what was stated does not fit the model's input.

    """
    own = loaded.stated if loaded.stated is not None and loaded.stated.is_own else None
    try:
        return _completed_input(loaded, prepared, stated)
    except UsageError as error:
        if own is None or stated.stated:
            raise
        # What a file says may be of another model: no user stated it, so nobody is refused for it.
        made = _completed_input(replace(loaded, stated=None), prepared, stated)
        note = f"The preprocessing in {own.origin} does not fit this model, so it was left out: {error}"
        return MadeInput(made.spec, (note, *made.notes))


def _completed_input(loaded: LoadedModel, prepared: PreparedModel, user: Input) -> MadeInput:
    stated = loaded.stated
    if stated is not None and stated.is_own:
        stated = stated.fitted(*(loaded.size or sides_of(prepared.image)))
    completed, origin = merged(user, stated)
    graph_first = stated is not None and stated.is_own and not user.stated
    made = make_input(prepared, completed, loaded.size, loaded.open_size, graph_first=graph_first)
    notes = [note for note in (origin, _note_on_size(loaded, prepared)) if note]
    return MadeInput(made.spec, (*notes, *made.notes))


def _note_on_size(loaded: LoadedModel, prepared: PreparedModel) -> str:
    """Say where the size of the input is from if it is the one in the file's metadata."""
    sides = dims_of(prepared.image)[1:]
    if loaded.trained_size is None or loaded.open_size != loaded.trained_size or all(isinstance(x, int) for x in sides):
        return ""
    height, width = loaded.trained_size
    return f"The size of the input, {width} x {height} pixels, is that of the file's own metadata ('imgsz')."


def known_labels(loaded: LoadedModel, labels: Sequence[str]) -> int:
    """Return how many labels are known before the score is: those of the user, or two in the file's metadata."""
    return len(labels) or len(labels_in_metadata(loaded.model.metadata_props, 2)[0])


def _labels(loaded: LoadedModel, labels: Sequence[str], score: Score) -> tuple[Sequence[str], str]:
    """Return the label of each target, and a note on where they come from."""
    if labels:
        return labels, ""
    if own := score.task.own_labels(score):
        return own, ""
    found, note = labels_in_metadata(loaded.model.metadata_props, score.num_classes)
    if found:
        return found, note
    for where, names in loaded.labels_beside.items():
        if len(names) == score.num_classes:
            return names, f"The labels are those of {where}."
    return labels_in_maps(loaded.map_labels, score.num_classes)


def _check_labels(labels: Sequence[str], num_classes: int) -> None:
    if labels and len(labels) != num_classes:
        raise UsageError(
            f"The labels file has {len(labels)} labels, but the score has {num_classes} classes. "
            "Give one label per class, in the order of the classes."
        )
