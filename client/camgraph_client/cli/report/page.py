"""One HTML page of a run, which needs no other file: a row for each image, to be sorted, the worst predictions first.

Whatever comes from file names, labels and messages is escaped, and the page's own policy lets nothing run or load but
its one script and its one style. The pictures of a page take so many bytes at most: a browser holds all of it.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

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
from camgraph_client.html.document import opening
from camgraph_core.result import Result
from camgraph_core.types import ByteArray
from camgraph_runtime.bank.memory_bank import METHOD as DISTANCES
from camgraph_runtime.pictures.overlay import colorize
from camgraph_runtime.pictures.panel import GUIDED_TITLE, shared_peaks

_HERE = Path(__file__).parent
_SIDE = 240  # pixels of a thumbnail's longer side
_QUALITY = 80  # of its JPEG
_MOST_BYTES = 64 << 20  # of the JPEGs of a page, which base64 makes a third larger
_OF_CLASSES = ("image", "verdict", "truth", "predicted", "probability", "distance", "maps", "warnings")
_OF_NUMBERS = (
    "image",
    "truth",
    "predicted",
    "error",
    "distance",
    "maps",
    "warnings",
)  # of images whose true numbers are known
_STOPS = 33  # of the bar that shows the colours
_LONG = 200  # images, from which on pictures that are not seen are not laid out
_LEFT_OUT = (
    "The last images are shown without pictures, as a page holds 64 MiB of them at most. "
    "Their files are in the folder of the run's output."
)


def thumbnails(result: Result, wanted: Wanted) -> Pictures:
    """Small pictures of an image: the photo with its objects and what each explanation shows, as in a panel."""
    canvas = result.canvas
    width, height = result.image_size
    encode = canvas.painter.encode_jpeg

    def thumbnail(title: str, note: str, picture: ByteArray) -> dict[str, str]:
        size = {"width": str(picture.shape[1]), "height": str(picture.shape[0])}
        jpeg = base64.b64encode(encode(picture, _QUALITY)).decode()
        return {"title": title, "note": note, **size, "jpeg": jpeg}

    photo = np.array(canvas.photo_of(canvas.size(_SIDE)))
    for score in result.predictions:
        if score.box:
            photo = canvas.painter.outlined(photo, score.box.scaled(photo.shape[1] / width, photo.shape[0] / height))
    shown = [thumbnail("photo", f"{width} x {height} px", photo)]
    peaks = shared_peaks(result.explanations) if wanted.shared_scale else None
    for number, item in enumerate(result.explanations):
        picture = item.overlay(
            max_side=_SIDE, opacity=wanted.opacity or "heat", peak=1.0 if peaks is None else peaks[number]
        )
        note = " · ".join(filter(None, (item.note, f"largest {item.statistics.maximum:.3g}")))
        shown.append(thumbnail(item.title, note, picture))
        if hasattr(item, "guided"):
            shown.append(thumbnail(item.title, GUIDED_TITLE, item.guided_picture(max_side=_SIDE)))
    return shown


def write_page(
    path: Path,
    model: dict[str, Any],
    rows: Sequence[tuple[Photo, Row]],
    pictures: Callable[[Photo], Pictures],
    *,
    colormap: str,
    shared_scale: bool,
) -> None:
    """Writes the page.

    Args:
        path: Where to.
        model: What is stated of the model.
        rows: The images with their rows; wrong predictions come first, the most certain ones before others, and of
            numbers those with the largest errors.
        pictures: Gives the pictures of an image; they are read one image after the other. Past 64 MiB of them, the
            images that are left have none.
        colormap: The colour map of the maps.
        shared_scale: Whether the maps of an image share one scale.

    Raises:
        UsageError: The file cannot be written.

    """
    style, script = ((_HERE / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    each = [row for _, row in rows]
    with written(path) as file:
        file.write(opening(f"Explanations by {model['name']}", style + _bar(colormap), script=script))
        file.write(_summary(model, each))
        file.write(_scale(each, shared_scale=shared_scale))
        file.write(_choice(each))
        columns = _OF_NUMBERS if any(row["deviations"] is not None for row in each) else _OF_CLASSES
        file.write(_headings(each, columns))
        left = _MOST_BYTES
        for photo, row in sorted(rows, key=lambda item: _order(item[1])):
            shown = pictures(photo)
            left -= sum(len(picture["jpeg"]) * 3 // 4 for picture in shown)
            file.write(_line(row, columns, shown if left >= 0 else []))
        file.write("</tbody></table>\n")
        if left < 0:
            file.write(f"<p>{_LEFT_OUT}</p>\n")
        file.write(f"<script>{script}</script>\n</body></html>\n")


def _summary(model: dict[str, Any], rows: Sequence[Row]) -> str:
    failed = sum(row["error"] is not None for row in rows)
    judged = [row["correct"] for row in rows if row["correct"] is not None]
    said = [f"{len(rows)} images" if len(rows) != 1 else "1 image"]
    if judged:
        said.append(f"{sum(judged)} of {len(judged)} predictions are right ({sum(judged) / len(judged):.1%})")
    said += _errors(rows)
    distances = [distance for distance in map(_distance, rows) if distance is not None]
    if distances:
        far = sum(distance > 1 for distance in distances)
        said.append(f"{far} of {len(distances)} are farther from the memory bank than its limit")
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
        f'<details><summary>Certificate: {escape(verdict)}</summary><div class="wide"><table><tr><th>check</th>'
        f"<th>result</th><th>error</th><th>allowed</th><th>what it compares</th></tr>{checks}</table></div></details>\n"
    )


def _scale(rows: Sequence[Row], *, shared_scale: bool) -> str:
    """What the colours of the maps say."""
    explained = [item for row in rows for item in row["explanations"]]
    if not explained:
        return ""
    most = "the largest value among the maps of an image" if shared_scale else "the largest value of each map"
    said = [f"1, {most}"]
    if any(item["method"] == DISTANCES for item in explained):
        said.append("of the distances to a memory bank, the middle is the bank's limit")
    bar = '<span role="img" aria-label="the colours from cold to hot"></span>'
    return f'<p class="scale">0 {bar} {"; ".join(said)}</p>\n'


def _bar(colormap: str) -> str:
    """The style of the bar that shows the colours of the maps."""
    colours = colorize(np.linspace(0, 1, _STOPS, dtype=np.float32)[None], colormap)[0]
    stops = ", ".join(f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in colours)
    return f".scale span {{ background: linear-gradient(to right, {stops}); }}\n"


def _choice(rows: Sequence[Row]) -> str:
    """What chooses the images to be shown; the script shows it."""
    kinds = [kind for row in rows for kind in _kinds(row).split()]
    options = "".join(
        f'<option value="{kind}">{said} ({kinds.count(kind)})</option>'
        for kind, said in (("wrong", "wrong"), ("right", "right"), ("failed", "failed"), ("warned", "with warnings"))
        if kind in kinds
    )
    return (
        f'<div id="choice" hidden><div><label>show <select id="kind"><option value="">all ({len(rows)})</option>'
        f'{options}</select></label><label>with the words <input id="words" type="search"></label>'
        '<output id="shown"></output></div></div>\n'
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

    Of numbers, those with the largest error first; where nothing is known, those that are farthest from a memory bank.
    """
    probability, error = _probability(row) or 0.0, largest_deviation(row)
    if error is not None:
        return 0, -abs(error)
    if row["error"] is not None:
        return 1, 0.0
    if row["correct"] is None:
        return 2, -(_distance(row) or 0.0)
    return (3, probability) if row["correct"] else (0, -probability)


def _verdict(row: Row) -> str:
    if row["error"] is not None:
        return "failed"
    return {True: "right", False: "wrong", None: ""}[row["correct"]]


def _kinds(row: Row) -> str:
    """The verdict, and whether there are warnings, as classes of the row's element."""
    return " ".join(filter(None, (_verdict(row), "warned" if row["warnings"] else "")))


def _distance(row: Row) -> float | None:
    """How far the image is from the memory bank, in units of the bank's limit."""
    distances = (item["target"]["score"] for item in row["explanations"] if item["method"] == DISTANCES)
    distance: float | None = next(distances, None)
    return distance


def _headings(rows: Sequence[Row], columns: Sequence[str]) -> str:
    few = max((len(row["explanations"]) for row in rows), default=0) < 2
    kinds = f"{'few' if few else 'many'} {'long' if len(rows) > _LONG else 'short'}"
    heads = "".join(f'<th role="columnheader"><button type="button">{name}</button></th>' for name in columns)
    # The roles say again what the elements are, as the style lays them out as cards.
    return (
        f'<table id="images" class="{kinds}" role="table"><thead role="rowgroup"><tr role="row">{heads}</tr></thead>'
        '<tbody role="rowgroup">\n'
    )


def _probability(row: Row) -> float | None:
    probability: float | None = row["predictions"][0]["probability"] if row["predictions"] else None
    return probability


def _line(row: Row, columns: Sequence[str], pictures: Pictures) -> str:
    verdict, probability, distance, error = _verdict(row), _probability(row), _distance(row), largest_deviation(row)
    figures = "".join(_figure(picture, row["image"]) for picture in pictures)
    remarks = [*([row["error"]] if row["error"] is not None else []), *row["warnings"]]
    cells = {
        "image": f'class="name">{_name(row["image"])}',
        "verdict": f'class="verdict">{verdict}',
        "truth": f'data-label="truth">{escape(truth_in_words(row))}',
        "predicted": f'data-label="predicted">{escape(prediction_in_words(row))}',
        "probability": f'data-value="{"" if probability is None else probability}" data-label="probability">'
        f"{'' if probability is None else f'{probability:.1%}'}",
        "error": f'data-value="{"" if error is None else abs(error)}" data-label="error">'
        f"{escape(deviations_in_words(row))}",
        "distance": f'data-value="{"" if distance is None else distance}" data-label="distance to the bank">'
        f"{'' if distance is None else f'{distance:.2f}'}",
        "maps": f'class="maps" data-value="{_heat(row)}"><div class="figures">{figures}</div>',
        "warnings": f'class="remarks">{"".join(f"<p>{escape(text)}</p>" for text in remarks)}',
    }
    line = "".join(f'<td role="cell" {cells[name]}</td>' for name in columns)
    return f'<tr class="{_kinds(row)}" role="row">{line}</tr>\n'


def _name(path: str) -> str:
    """A path, whose folder is fainter than the name; neither turns the writing direction of what stands beside it."""
    folder, slash, name = path.rpartition("/")
    return f'<bdi class="folder">{escape(folder + slash)}</bdi><bdi>{escape(name)}</bdi>'


def _heat(row: Row) -> str:
    """The largest value of the first map, by which the column of maps is sorted."""
    return f"{row['explanations'][0]['statistics']['maximum']:.6g}" if row["explanations"] else ""


def _figure(picture: dict[str, str], image: str) -> str:
    title, note = escape(picture["title"]), escape(picture["note"])
    kind = "" if picture["title"] == "photo" else f"map of {title} over "
    source = f"data:image/jpeg;base64,{escape(picture['jpeg'])}"
    size = f'width="{escape(picture["width"])}" height="{escape(picture["height"])}"'
    return (
        f'<figure><img src="{source}" {size} decoding="async" alt="{kind}{escape(image)}">'
        f"<figcaption><b>{title}</b><br>{note}</figcaption></figure>"
    )
