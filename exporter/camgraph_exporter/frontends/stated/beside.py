"""Reads the files that toolkits put beside an ONNX file: how photos are prepared, and what the classes are called."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from camgraph_core.errors import CamgraphError
from camgraph_exporter.frontends.stated.metadata import stated_in_metadata
from camgraph_exporter.frontends.stated.preprocessing import Stated, pair, stated_preprocessing
from camgraph_exporter.frontends.stated.steps import stated_by_steps, steps_of_mmdeploy, steps_of_paddle
from camgraph_exporter.labels import Labels, labels_in

_LARGEST = 1 << 20  # bytes of a file; the names of 21,000 classes are no more
_YAML = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

Content = Mapping[str, Any]


@dataclass(frozen=True)
class OwnStatements:
    """What a model's file and the files beside it state.

    Attributes:
        preprocessing: How photos were prepared in training; None where nothing says it.
        labels: Names of classes, by the file that has them.
        notes: What could not be read, one sentence each.

    """

    preprocessing: Stated | None = None
    labels: Mapping[str, Labels] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def own_statements(metadata: Mapping[str, str], path: Path | None, *, classifies: bool) -> OwnStatements:
    """Return what the metadata of a file states, and for the rest the files beside it.

    Args:
        metadata: The metadata.
        path: Where the file lies; None for a model in memory.
        classifies: Whether every output is a row of numbers per image.

    """
    found, labels, notes = list[Stated](), dict[str, Labels](), list[str]()
    with _noted(notes, "the file's own metadata"):
        own = stated_in_metadata(metadata, classifies=classifies)
        found += [own] if own is not None else []
    for file in _files_beside(path) if path is not None else ():
        with _noted(notes, f"{file.name} beside the model"):
            content = _content(file)
            stated = _READERS[file.name](content)
            found += [replace(stated, origin=f"{file.name} beside the model")] if stated is not None else []
            if names := _labels(content):
                labels[f"{file.name} beside the model"] = names
    preprocessing = replace(found[0], is_own=True) if found else None
    return OwnStatements(preprocessing, labels, tuple(notes))


@contextmanager
def _noted(notes: list[str], where: str) -> Iterator[None]:
    """Turn what a foreign file of any content makes its reader raise into a note."""
    try:
        yield
    except (CamgraphError, ValueError, TypeError, LookupError, AttributeError, RecursionError, OSError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        notes.append(f"The preprocessing in {where} was not read: {reason[:200]}.")


def _files_beside(path: Path) -> Iterator[Path]:
    """Yield the files that are known by name; a folder `onnx` is one of several of a model, as on Hugging Face."""
    folders = [path.parent, *([path.parent.parent] if path.absolute().parent.name == "onnx" else [])]
    for name in _READERS:
        yield from (folder / name for folder in folders if (folder / name).is_file())


def _content(file: Path) -> Content:
    if file.stat().st_size > _LARGEST:
        raise ValueError(f"it has more than {_LARGEST} bytes")
    text = file.read_text(encoding="utf-8")
    try:
        content = json.loads(text) if file.suffix == ".json" else yaml.load(text, _YAML)
    except yaml.YAMLError as error:
        raise ValueError("it is not YAML") from error
    if not isinstance(content, Mapping):
        raise ValueError("it is not an object with keys")
    return content


def _of_hugging_face(content: Content) -> Stated | None:
    return stated_preprocessing(None, content)


def _of_configuration(content: Content) -> Stated | None:
    """A configuration of timm has the preprocessing; one of transformers has the names of classes alone."""
    config = content.get("pretrained_cfg")
    if not isinstance(config, Mapping):
        return None
    stated = stated_preprocessing(None, config)
    return None if stated is None else replace(stated, size=pair(config["input_size"][1:]))


def _of_mmdeploy(content: Content) -> Stated | None:
    steps = steps_of_mmdeploy(content)
    return None if steps is None else stated_by_steps(steps, divisor=1, blue_first=True)


def _of_paddle(content: Content) -> Stated | None:
    steps = steps_of_paddle(content)
    return None if steps is None else stated_by_steps(steps, divisor=255, blue_first=False)


def _of_custom_vision(content: Content) -> Stated | None:
    return stated_in_metadata({key: str(value) for key, value in content.items()}, classifies=True)


def _labels(content: Content) -> Labels:
    post = content.get("PostProcess")
    inner = post.get("Topk", {}) if isinstance(post, Mapping) else {}
    config = content.get("pretrained_cfg")
    for part in (content, inner, config):
        if isinstance(part, Mapping) and (names := labels_in(part)):
            return names
    return ()


# In this order; the first that states something is taken.
_READERS: dict[str, Callable[[Content], Stated | None]] = {
    "preprocessor_config.json": _of_hugging_face,
    "config.json": _of_configuration,
    "pipeline.json": _of_mmdeploy,
    "inference.yml": _of_paddle,
    "inference.yaml": _of_paddle,
    "infer_cfg.yml": _of_paddle,
    "deploy.yaml": _of_paddle,
    "metadata_properties.json": _of_custom_vision,
}
