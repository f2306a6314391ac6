"""The rows of a run as a JSON file, and as a CSV file."""

from __future__ import annotations

import csv
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from camgraph_client.cli.report.rows import Row
from camgraph_core.errors import UsageError

COLUMNS = (
    "image", "error", "truth", "predicted", "probability", "correct", "deviation", "explained", "class_index", "label",
    "contrast", "score", "left", "top", "right", "bottom", "below_threshold", "method", "layers", "map_minimum",
    "map_maximum", "map_mean", "positive_share", "hot_regions", "hot_left", "hot_top", "hot_right", "hot_bottom",
    "hot_area", "hot_energy", "map", "warnings", "model", "model_sha256", "certificate",
)  # fmt: skip  # a table of names
"""The columns of the CSV file, which has one line for each explanation, and one for each image without any."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def write_json(path: Path, model: dict[str, Any], rows: Sequence[Row]) -> None:
    """Writes ``{"model": ..., "images": [...]}``, a row for each image in the order of the run."""
    with written(path) as file:
        json.dump({"model": model, "images": rows}, file, ensure_ascii=False, indent=1, allow_nan=False)
        file.write("\n")


def write_csv(path: Path, model: dict[str, Any], rows: Iterable[Row]) -> None:
    """Writes a line for each explanation, with the columns of `COLUMNS`.

    A text that a spreadsheet would compute, as it begins with ``=`` or the like, has an apostrophe before it.
    """
    about = {
        "model": model["name"],
        "model_sha256": model["sha256"],
        "certificate": certificate_in_words(model),
    }
    with written(path) as file:
        lines = csv.DictWriter(file, COLUMNS, restval="", lineterminator="\r\n")
        lines.writeheader()
        for row in rows:
            for line in _lines(row):
                lines.writerow({key: _cell(value) for key, value in (line | about).items()})


def certificate_in_words(model: dict[str, Any]) -> str:
    """Whether the certificate passed, and whether it is about this file: "passed", "failed", "file changed"."""
    if model["as_proven"] is False:
        return "file changed"
    return "passed" if model["certificate"]["passed"] else "failed"


def class_in_words(item: Row | None) -> str:
    """The label of a class, or its index without one."""
    if item is None:
        return ""
    return item["label"] or str(item["class_index"])


def truth_in_words(row: Row) -> str:
    """What is true of an image: a class, or numbers."""
    truth = row["truth"]
    if truth is None or "values" not in truth:
        return class_in_words(truth)
    return _numbers_in_words(row["predictions"], truth["values"])


def prediction_in_words(row: Row) -> str:
    """What is predicted: the best class, or the numbers of a regression."""
    best = next(iter(row["predictions"]), None)
    if best is None or best["value"] is None:
        return class_in_words(best)
    return _numbers_in_words(row["predictions"], [item["value"] for item in row["predictions"]])


def deviations_in_words(row: Row) -> str:
    """What is predicted less what is true, with the sign."""
    return "" if row["deviations"] is None else _numbers_in_words(row["predictions"], row["deviations"], "+.4g")


def largest_deviation(row: Row) -> float | None:
    """The one that is farthest from zero; None where none is known."""
    return max((value for value in row["deviations"] or () if value is not None), key=abs, default=None)


def _numbers_in_words(predictions: Sequence[Row], values: Sequence[float | None], form: str = ".6g") -> str:
    """Numbers with what each is called where there are several: "age 31.5, weight 70"."""
    texts = ["not finite" if value is None else format(value, form) for value in values]
    if len(texts) == 1:
        return texts[0]
    names = [item["label"] or f"value {number}" for number, item in enumerate(predictions)]
    names += [f"value {number}" for number in range(len(names), len(texts))]
    return ", ".join(f"{name} {text}" for name, text in zip(names, texts, strict=False))


@contextmanager
def written(path: Path) -> Iterator[TextIO]:
    """A text file that takes the place of ``path`` when all of it is written.

    What is not a file, such as /dev/stdout, stays what it is and is written to. What is not text, such as the bytes of
    some file names, is written as a question mark.

    Raises:
        UsageError: It cannot be written.

    """
    if path.exists() and not path.is_file():
        with _said(path), path.open("w", encoding="utf-8", errors="replace", newline="") as file:
            yield file
        return
    said, path = path, path.resolve()
    with _said(said):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:40]}.")
    part = Path(name)
    try:
        with _said(said), os.fdopen(handle, "w", encoding="utf-8", errors="replace", newline="") as file:
            yield file
        with _said(said):
            part.chmod(0o666 & ~_umask())
            part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _said(path: Path) -> Iterator[None]:
    """Turns what the file system says into what the user reads."""
    try:
        yield
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}.") from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _lines(row: Row) -> Iterator[Row]:
    best = row["predictions"][0] if row["predictions"] else None
    shared = {
        "image": row["image"],
        "error": row["error"],
        "truth": truth_in_words(row),
        "predicted": prediction_in_words(row),
        "probability": best and best["probability"],
        "correct": row["correct"],
        "deviation": largest_deviation(row),
        "warnings": " | ".join(row["warnings"]),
    }
    for explanation in row["explanations"]:
        yield shared | _explained(explanation)
    if not row["explanations"]:
        yield shared


def _explained(explanation: Row) -> Row:
    target, statistics, regions = explanation["target"], explanation["statistics"], explanation["hot_regions"]
    line = {
        "explained": explanation["title"],
        "class_index": target["class_index"],
        "label": target["label"],
        "contrast": class_in_words(explanation["contrast"]),
        "score": target["score"],
        "method": explanation["method"],
        "layers": " ".join(explanation["layers"]),
        "map_minimum": statistics["minimum"],
        "map_maximum": statistics["maximum"],
        "map_mean": statistics["mean"],
        "positive_share": statistics["positive_share"],
        "hot_regions": len(regions),
        "map": explanation["map"],
    }
    if target["box"]:
        line |= zip(("left", "top", "right", "bottom"), target["box"], strict=True)
        line["below_threshold"] = target["below_threshold"]
    if regions:
        line |= zip(("hot_left", "hot_top", "hot_right", "hot_bottom"), regions[0]["box"], strict=True)
        line |= {"hot_area": regions[0]["area"], "hot_energy": regions[0]["energy"]}
    return line


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
