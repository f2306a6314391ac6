"""Reads class labels: from a file of lines or JSON, or from the metadata and maps that toolkits write into a model."""

from __future__ import annotations

import ast
import codecs
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from camgraph_core.errors import UsageError

Labels = tuple[str, ...]

# Keys of a model's metadata, or of a configuration around the labels, under which toolkits write them.
_KEYS = (
    *("names", "id2label", "label2id", "labels", "class_names", "class_labels", "classes", "categories"),
    *("label_names", "label_list"),
)
_LARGEST_TEXT = 8 << 20  # characters; a hundred thousand labels are far smaller
_DEEPEST = 8  # brackets in brackets, which Python's and JSON's parsers read by recursion
_BYTE_ORDER_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


def read_labels(path: Path) -> Labels:
    """Return the labels in a file, in the order of the classes.

    The file is text with one label per line, where an empty line is a class without a name, or JSON: a list, an object
    from index to name or from name to index, or an object that holds one of these (`id2label` of a configuration).

    Raises:
        UsageError: there is no such file, it is not text, or its JSON does not say which class has which label.

    """
    if not path.is_file():
        raise UsageError(f"There is no labels file {str(path)!r}.")
    text = _text(path)
    if not text.strip():
        raise UsageError(f"The labels file {str(path)!r} is empty.")
    if not text.lstrip().startswith(("{", "[")):
        return _lines(text)
    try:
        found = _parse(text)
    except ValueError as error:
        if path.suffix.lower() != ".json":
            return _lines(text)
        raise UsageError(f"The labels file {str(path)!r} is not JSON that can be read: {error}.") from error
    try:
        return _labels(found)
    except ValueError as error:
        raise UsageError(f"The labels file {str(path)!r} does not give one label per class: {error}.") from error


def labels_in_metadata(metadata: Mapping[str, str], num_classes: int) -> tuple[Labels, str]:
    """Return the labels that a model's own metadata gives its classes, and a note on them.

    Only a value that names exactly `num_classes` classes is taken; without one both are empty.
    """
    for key in _KEYS:
        try:
            labels = _labels(_parse(metadata[key])) if key in metadata else ()
        except ValueError:
            continue
        if len(labels) == num_classes > 0:
            return labels, f"The labels are those of the file's own metadata ({key!r})."
    return (), ""


def labels_in(configuration: Mapping[str, Any]) -> Labels:
    """Return the labels under one of the usual keys of a configuration; none where it has none.

    Raises:
        ValueError: what is there does not give each class one label.

    """
    found = next(
        (configuration[key] for key in _KEYS if isinstance(configuration.get(key), Mapping | list | tuple)), None
    )
    return _labels(found) if found else ()


def labels_in_maps(maps: Mapping[str, Labels], num_classes: int) -> tuple[Labels, str]:
    """Return the labels of a map from label to score that a model gives out, and a note on them.

    Only maps of exactly `num_classes` labels are looked at; where there is none, or they do not agree, both are empty.
    """
    fitting = {name: labels for name, labels in maps.items() if len(labels) == num_classes > 0}
    if len(set(fitting.values())) != 1:
        return (), ""
    name, labels = next(iter(fitting.items()))
    return labels, f"The labels are those of the file's own map {name!r}."


def _text(path: Path) -> str:
    data = path.read_bytes()
    encoding = "utf-8"
    for mark, name in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            data, encoding = data[len(mark) :], name
            break
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise UsageError(f"The labels file {str(path)!r} is not UTF-8 text: {error.reason}.") from error


def _lines(text: str) -> Labels:
    lines = [line.strip() for line in re.split(r"\r\n|\r|\n", text)]
    while lines and not lines[-1]:
        lines.pop()
    return tuple(lines)


def _parse(text: str) -> Any:
    """Return what JSON or a Python literal says, both of which toolkits write.

    Raises:
        ValueError: it is neither, or too large or too deep to be labels.

    """
    if len(text) > _LARGEST_TEXT:
        raise ValueError(f"it has {len(text)} characters, which is too long for labels")
    if _depth(text) > _DEEPEST:
        raise ValueError(f"its brackets are more than {_DEEPEST} deep")
    try:
        return json.loads(text, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        try:
            return ast.literal_eval(text.strip())
        except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
            raise ValueError(f"{error.msg} in line {error.lineno}") from error


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = next(key for key, _ in pairs if sum(key == other for other, _ in pairs) > 1)
        raise ValueError(f"{twice!r} is in it twice")
    return found


def _depth(text: str) -> int:
    deepest = depth = 0
    for bracket in re.findall(r"[\[\](){}]", text):
        depth += 1 if bracket in "[({" else -1
        deepest = max(deepest, depth)
    return deepest


def _labels(found: Any) -> Labels:
    """Return labels from a list, from a table in either direction, or from what holds one of these.

    Raises:
        ValueError: it is none of these, or does not give each class one label.

    """
    if isinstance(found, Mapping):
        return labels_in(found) or _from_table(found)
    if isinstance(found, list | tuple):
        if found and all(isinstance(item, Mapping) and "id" in item and "name" in item for item in found):
            return _from_table({item["id"]: item["name"] for item in found})
        return tuple(_name(item) for item in found)
    raise ValueError("it is neither a list nor an object")


def _from_table(table: Mapping[Any, Any]) -> Labels:
    if not table:
        raise ValueError("it is empty")
    if all(isinstance(value, int) and not isinstance(value, bool) for value in table.values()):
        by_index = {value: str(key).strip() for key, value in table.items()}
        if len(by_index) != len(table):
            raise ValueError("two names have the same index")
    else:
        by_index = {_index(key): _name(value) for key, value in table.items()}
    last = max(by_index)
    if min(by_index) < 0 or last >= 2 * len(by_index) + 16:
        raise ValueError(f"its indices go from {min(by_index)} to {last}, but it has {len(by_index)} names")
    return tuple(by_index.get(index, "") for index in range(last + 1))


def _index(key: Any) -> int:
    try:
        return int(str(key))
    except ValueError:
        raise ValueError(f"{str(key)!r} is not the index of a class") from None


def _name(value: Any) -> str:
    """Return a label; of several names, such as ["n01440764", "tench"], the last, which is for people."""
    while isinstance(value, list | tuple) and value:
        value = value[-1]
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"{value!r} is not a label")
    name = str(value).strip()
    if any("\ud800" <= letter <= "\udfff" for letter in name):
        raise ValueError(f"{name!r} has half of a letter, which is not text")
    return name
