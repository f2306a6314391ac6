"""The model repository: everything is read and checked first, then all of it is written."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from camgraph_core.errors import CamgraphError, InvalidGraphError
from camgraph_core.settings import joined
from camgraph_runtime import Explainer, Manifest
from camgraph_runtime.bank.beside import bank_of, bank_path
from camgraph_runtime.digest import check_digest
from camgraph_runtime.onnx_file import external_locations
from camgraph_triton import config
from camgraph_triton.config_text import MARK
from camgraph_triton.ensemble import ensemble_configs
from camgraph_triton.names import DRAW, ENSEMBLE, PREPARE
from camgraph_triton.options import TritonOptions
from camgraph_triton.signature import FILE, GRAPH, Signature
from camgraph_triton.sources import Source, sources_of
from camgraph_wire.open_inference.models import TENSORS

Progress = Callable[[str, int, int], None]
"""Is told what is worked on, how many steps are done, and how many there are."""

_MODEL_CODE = '''\
"""Written by camgraph. What it does is in that package, which Triton's Python must have."""

from camgraph_triton.serving.{} import TritonPythonModel
'''


@dataclass(frozen=True)
class Written:
    """What was written of a graph.

    Attributes:
        name: Its name.
        versions: Its versions.
        notes: What a user should know of it, one sentence each.
    """

    name: str
    versions: tuple[int, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Read:
    """A graph that can be served."""

    source: Source
    signature: Signature
    manifest: Manifest


def write_repository(
    paths: Sequence[Path],
    output: Path,
    options: TritonOptions | None = None,
    *,
    replace: bool = False,
    progress: Progress = lambda *_: None,
) -> list[Written]:
    """Writes two models of Triton for each graph, ``NAME`` and ``NAME.tensors``, and three more for an ensemble.

    Nothing is written unless all graphs can be served.

    Args:
        paths: Graphs, and folders laid out as those of `camgraph serve`.
        output: The model repository. Other models that it holds stay.
        options: How Triton is to serve the graphs.
        replace: Whether models of these names that camgraph has written are replaced.
        progress: Is told how far it is.

    Raises:
        CamgraphError: Some cannot be served; the message lists all that is wrong.
        OSError: A file cannot be read or written.
    """
    options = options or TritonOptions()
    problems: list[str] = []
    sources = sources_of(paths, problems)
    steps = _Steps(progress, 2 * len(sources))
    read = [graph for source in sources if (graph := _read(source, problems, steps)) is not None]
    groups = [list(group) for _, group in groupby(read, key=lambda graph: graph.source.name)]
    problems += [problem for group in groups for problem in _differences(group, options)]
    named = [_names(name, ensemble=options.ensemble) for name in dict.fromkeys(source.name for source in sources)]
    for name, count in Counter(name for names in named for name in names).items():
        problems += [f"Two models would be {name}; rename one."] * (count > 1)
        problems += _in_the_way(output / name, replace)
    if problems:
        raise CamgraphError(joined(problems))
    output.mkdir(parents=True, exist_ok=True)
    # Beside the repository, as a Triton that runs looks at everything in it.
    with tempfile.TemporaryDirectory(prefix=".camgraph-", dir=output.absolute().parent) as folder:
        for group in groups:
            _write(group, Path(folder), options, steps)
        for group in groups:
            _move(group[0].source.name, options, Path(folder), output)
    steps.enter("Done")
    return [_written(group, options) for group in groups]


class _Steps:
    """Counts what is done."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress, self._total, self._done = progress, total, 0

    def enter(self, what: str) -> None:
        self._progress(what, self._done, self._total)
        self._done += 1


def _read(source: Source, problems: list[str], steps: _Steps) -> _Read | None:
    steps.enter(f"Reading {source.path.name}")
    try:
        with Explainer(source.path, bank=bank_of(source.path)) as explainer:
            signature, manifest = Signature.of(explainer.engine), explainer.manifest
        check_digest(source.path, manifest.digest)
        _weights(source.path)
        unknown = config.unknown_datatypes(signature)
        if unknown:
            raise InvalidGraphError(f"Triton has no datatype for {', '.join(unknown)}.")
    except CamgraphError as error:
        problems.append(f"{source.path}: {error}")
        return None
    return _Read(source, signature, manifest)


def _differences(group: Sequence[_Read], options: TritonOptions) -> Iterable[str]:
    """Why the versions of a model cannot share the one configuration that Triton has for them."""
    first, *others = group
    for other in others:
        if _shared(first, options) != _shared(other, options):
            yield (
                f"{first.source.path} and {other.source.path} differ in inputs, outputs or labels, but Triton has one "
                "configuration for all versions of a model. Give them different names."
            )


def _shared(graph: _Read, options: TritonOptions) -> tuple[object, ...]:
    text = config.tensor_config(graph.source.name, graph.signature, graph.manifest, options)
    return text, list(graph.manifest.class_labels)


def _names(name: str, *, ensemble: bool) -> list[str]:
    """Names of the models of a graph."""
    return [name, name + TENSORS, *((name + suffix for suffix in (PREPARE, DRAW, ENSEMBLE)) if ensemble else ())]


def _is_ours(folder: Path) -> bool:
    file = folder / "config.pbtxt"
    return file.is_file() and file.read_bytes().startswith(MARK.encode())


def _in_the_way(folder: Path, replace: bool) -> Iterable[str]:
    if not folder.exists() and not folder.is_symlink():
        return
    if not _is_ours(folder):
        yield f"{folder} is there and was not written by camgraph; take another folder, or rename the model."
    elif not replace:
        yield f"{folder} is there already; --replace writes it anew."


def _write(group: Sequence[_Read], folder: Path, options: TritonOptions, steps: _Steps) -> None:
    first, newest = group[0], group[-1]
    name = first.source.name
    explanations, tensors = folder / name, folder / (name + TENSORS)
    _put(explanations / "config.pbtxt", config.explanation_config(name, options))
    _put(tensors / "config.pbtxt", config.tensor_config(name, first.signature, first.manifest, options))
    if config.labelled_output(first.signature, first.manifest):
        _put(tensors / config.LABELS, "".join(f"{label}\n" for label in first.manifest.class_labels))
    for graph in group:
        steps.enter(f"Writing {name}")
        version = str(graph.source.version)
        _copy(graph.source.path, tensors / version)
        if options.graph_backend == "python":
            _put(tensors / version / "model.py", _MODEL_CODE.format("tensors"))
            # Each model has its own: of a repository in an object store, Triton fetches one model at a time.
            _copy(graph.source.path, explanations / version)
        else:
            _put(explanations / version / FILE, graph.signature.to_json())
        _put(explanations / version / "model.py", _MODEL_CODE.format("explanations"))
        if bank_path(graph.source.path).exists():
            shutil.copyfile(bank_path(graph.source.path), bank_path(explanations / version / GRAPH))
    if options.ensemble:
        _write_ensemble(newest, folder, options)


def _write_ensemble(graph: _Read, folder: Path, options: TritonOptions) -> None:
    """Writes an ensemble of the newest version: a configuration names its steps for all versions."""
    name, version = graph.source.name, str(graph.source.version)
    for model, text in ensemble_configs(name, graph.signature, options).items():
        _put(folder / model / "config.pbtxt", text)
    for suffix, module in ((PREPARE, "prepare"), (DRAW, "draw")):
        _put(folder / (name + suffix) / version / FILE, graph.signature.to_json())
        _put(folder / (name + suffix) / version / "model.py", _MODEL_CODE.format(module))
    _put(folder / (name + ENSEMBLE) / version / "README", "Triton asks for a folder per version.\n")


def _copy(path: Path, folder: Path) -> None:
    """Copies a graph and the files with its weights."""
    folder.mkdir(parents=True)
    for name in _weights(path):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path.parent / name, target)
    shutil.copyfile(path, folder / GRAPH)


def _weights(path: Path) -> set[str]:
    """The files with a graph's weights, by their names in its folder.

    Raises:
        InvalidGraphError: One lies elsewhere: it would be copied to a place that nobody chose.
    """
    with path.open("rb") as file:
        names = external_locations(file, os.fstat(file.fileno()).st_size)
    for name in names:
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise InvalidGraphError(f"It has weights in {name!r}, which is not in its folder.")
    return names


def _put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _move(name: str, options: TritonOptions, folder: Path, output: Path) -> None:
    """Puts finished models in their places. What is replaced is moved away first, with an ensemble of the old graph."""
    for old in (output / model for model in _names(name, ensemble=True)):
        if _is_ours(old):
            old.rename(folder / f".old-{old.name}")
    for model in _names(name, ensemble=options.ensemble):
        shutil.move(folder / model, output / model)


def _written(group: Sequence[_Read], options: TritonOptions) -> Written:
    first = group[0]
    notes = []
    if options.max_batch_size and not config.takes_batches(first.signature):
        notes.append("Triton makes no batches for it: not all of its inputs and outputs have an axis of images first.")
    if options.graph_backend == "onnxruntime":
        switch = first.manifest.explain_switch
        if switch:
            notes.append(f"{first.source.name}{TENSORS} needs the input {switch!r}: true computes the gradients.")
        if first.manifest.int8_kernels:
            notes.append("Triton's onnxruntime backend takes default kernels for 8-bit sums, see docs/int8.md.")
    return Written(first.source.name, tuple(graph.source.version for graph in group), tuple(notes))
