"""One HTML page of a run, which needs no other file: a row for each image, to be sorted, the worst predictions first.

Whatever comes from file names, labels and messages is escaped, and the page's own policy lets nothing run or load but
its one script and its one style.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from typing import Any

from camgraph_client.cli.photos import Photo
from camgraph_client.cli.pictures import Wanted
from camgraph_client.cli.report.files import (
    certificate_in_words,
    deviations_in_words,
    largest_deviation,
    prediction_in_words,
    truth_in_words,
    written,
)
from camgraph_client.cli.report.journal import Pictures
from camgraph_client.cli.report.rows import Row
from camgraph_core.result import Result
from camgraph_runtime.pictures.panel import shared_peaks

_HERE = Path(__file__).parent
_SIDE = 240  # pixels of a thumbnail's longer side
_OF_CLASSES = ("image", "verdict", "truth", "predicted", "probability", "maps", "warnings")
_OF_NUMBERS = ("image", "truth", "predicted", "error", "maps", "warnings")  # of images whose true numbers are known


def thumbnails(result: Result, wanted: Wanted) -> Pictures:
    """Small pictures of an image: the photo, and an overlay for each explanation, painted as in a panel."""
    canvas = result.canvas
    photo = canvas.photo_of(canvas.size(_SIDE))
    width, height = result.image_size
    shown = [_thumbnail("photo", f"{width} x {height} px", canvas.painter.encode_jpeg(photo))]
    peaks = shared_peaks(result.explanations) if wanted.shared_scale else None
    for number, item in enumerate(result.explanations):
        picture = item.overlay(
            max_side=_SIDE, opacity=wanted.opacity or "heat", peak=1.0 if peaks is None else peaks[number]
        )
        note = f"{item.note}  ·  largest {item.statistics.maximum:.3g}"
        shown.append(_thumbnail(item.title, note, canvas.painter.encode_jpeg(picture)))
    return shown


def _thumbnail(title: str, note: str, jpeg: bytes) -> dict[str, str]:
    return {"title": title, "note": note, "jpeg": base64.b64encode(jpeg).decode()}


def write_page(
    path: Path, model: dict[str, Any], rows: Sequence[tuple[Photo, Row]], pictures: Callable[[Photo], Pictures]
) -> None:
    """Writes the page.

    Args:
        path: Where to.
        model: What is stated of the model.
        rows: The images with their rows; wrong predictions come first, the most certain ones before others, and of
            numbers those with the largest errors.
        pictures: Gives the pictures of an image; they are read one image after the other.

    Raises:
        UsageError: The file cannot be written.

    """
    style, script = ((_HERE / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    with written(path) as file:
        file.write(_head(style, script))
        file.write(_summary(model, [row for _, row in rows]))
        columns = _OF_NUMBERS if any(row["deviations"] is not None for _, row in rows) else _OF_CLASSES
        heads = "".join(f'<th><button type="button">{name}</button></th>' for name in columns)
        file.write(f'<table id="images"><thead><tr>{heads}</tr></thead><tbody>\n')
        for photo, row in sorted(rows, key=lambda item: _order(item[1])):
            file.write(_line(row, columns, pictures(photo)))
        file.write(f"</tbody></table>\n<script>{script}</script>\n</body></html>\n")


def _head(style: str, script: str) -> str:
    policy = f"default-src 'none'; img-src data:; style-src '{_hash(style)}'; script-src '{_hash(script)}'"
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>Explanations</title>\n<style>{style}</style></head><body>\n"
    )


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _summary(model: dict[str, Any], rows: Sequence[Row]) -> str:
    failed = sum(row["error"] is not None for row in rows)
    judged = [row["correct"] for row in rows if row["correct"] is not None]
    said = [f"{len(rows)} images" if len(rows) != 1 else "1 image"]
    if judged:
        said.append(f"{sum(judged)} of {len(judged)} predictions are right ({sum(judged) / len(judged):.1%})")
    said += _errors(rows)
    if failed:
        said.append(f"{failed} could not be explained")
    certificate = model["certificate"]
    verdict = {
        "passed": f"passed, {len(certificate['checks'])} checks",
        "failed": "failed",
        "file changed": "is not about this file: it has changed since it was proven",
    }[certificate_in_words(model)]
    checks = "".join(_check(check) for check in certificate["checks"])
    return (
        f"<h1>Explanations by {escape(model['name'])}</h1>\n<p>{escape('; '.join(said))}.</p>\n"
        f"<p>SHA-256 of the model <code>{escape(model['sha256'] or 'not stated')}</code></p>\n"
        f"<details><summary>Certificate: {escape(verdict)}</summary><table><tr><th>check</th><th>result</th>"
        f"<th>error</th><th>allowed</th><th>what it compares</th></tr>{checks}</table></details>\n"
    )


def _errors(rows: Sequence[Row]) -> list[str]:
    """The mean error of the images whose true numbers are known, and the largest one."""
    known = [row for row in rows if row["deviations"] is not None]
    largest = [abs(value) for value in map(largest_deviation, known) if value is not None]
    if not largest:
        return []
    what = "errors" if len(known[0]["deviations"]) == 1 else "largest errors"
    mean, most = sum(largest) / len(largest), max(largest)
    return [f"the {what} of {len(largest)} images are {mean:.3g} on average, {most:.3g} at most"]


def _check(check: Row) -> str:
    error = "not finite" if check["error"] is None else f"{check['error']:.3g}"
    allowed = "" if check["tolerance"] is None else f"{check['tolerance']:.3g}"
    said = " ".join(filter(None, (check["description"], check["remark"])))
    result = "passed" if check["passed"] else "failed"
    cells = (check["name"], result, error, allowed, said)
    return f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>\n"


def _order(row: Row) -> tuple[int, float]:
    """Wrong ones, failed ones, those without a truth, right ones; wrong ones by probability, right ones against it.

    Of numbers, those with the largest error first.
    """
    probability, error = _probability(row) or 0.0, largest_deviation(row)
    if error is not None:
        return 0, -abs(error)
    if row["error"] is not None:
        return 1, 0.0
    if row["correct"] is None:
        return 2, 0.0
    return (3, probability) if row["correct"] else (0, -probability)


def _verdict(row: Row) -> str:
    if row["error"] is not None:
        return "failed"
    return {True: "right", False: "wrong", None: ""}[row["correct"]]


def _probability(row: Row) -> float | None:
    probability: float | None = row["predictions"][0]["probability"] if row["predictions"] else None
    return probability


def _line(row: Row, columns: Sequence[str], pictures: Pictures) -> str:
    verdict, probability, error = _verdict(row), _probability(row), largest_deviation(row)
    figures = "".join(map(_figure, pictures))
    remarks = [*([row["error"]] if row["error"] is not None else []), *row["warnings"]]
    cells = {
        "image": f"<td>{escape(row['image'])}</td>",
        "verdict": f'<td class="verdict">{verdict}</td>',
        "truth": f"<td>{escape(truth_in_words(row))}</td>",
        "predicted": f"<td>{escape(prediction_in_words(row))}</td>",
        "probability": f'<td class="number">{"" if probability is None else f"{probability:.4f}"}</td>',
        "error": f'<td data-value="{"" if error is None else abs(error)}">{escape(deviations_in_words(row))}</td>',
        "maps": f'<td data-value="{_heat(row)}"><div class="maps">{figures}</div></td>',
        "warnings": f"<td>{''.join(f'<p>{escape(text)}</p>' for text in remarks)}</td>",
    }
    return f'<tr class="{verdict}">{"".join(cells[name] for name in columns)}</tr>\n'


def _heat(row: Row) -> str:
    """The largest value of the first map, by which the column of maps is sorted."""
    return f"{row['explanations'][0]['statistics']['maximum']:.6g}" if row["explanations"] else ""


def _figure(picture: dict[str, str]) -> str:
    title, note = escape(picture["title"]), escape(picture["note"])
    source = f"data:image/jpeg;base64,{escape(picture['jpeg'])}"
    return f'<figure><img src="{source}" alt="{title}"><figcaption><b>{title}</b><br>{note}</figcaption></figure>'
