"""The run of `camgraph explain` over its images."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import track

from camgraph_client.cli.banks import Measure
from camgraph_client.cli.photos import Photo, named
from camgraph_client.cli.pictures import Wanted, write_maps, write_pictures, write_world_files
from camgraph_client.cli.report.journal import Journal
from camgraph_client.cli.report.kept import Kept
from camgraph_client.cli.report.page import thumbnails, write_page
from camgraph_client.cli.report.rows import Row, failed_row, row_of
from camgraph_client.cli.report.truth import asked_with_truth, judged, with_truths
from camgraph_client.cli.source import Source
from camgraph_client.cli.tables import print_report
from camgraph_core.errors import (
    CamgraphError,
    DeviceError,
    InvalidGraphError,
    NotInImageError,
    TargetError,
    UnavailableError,
    UnsupportedError,
    UsageError,
)
from camgraph_core.result import Result
from camgraph_runtime import Explainer, SceneExplainer
from camgraph_runtime.preprocess.georeference import read_georeference

_NOTHING_ASKED = (
    "The model gives an embedding and has no classes. Name images to hold it against (--reference) or directions "
    "(--cotangent), or keep the embeddings with --json FILE."
)

# These are about the whole run, not about one image: going on would only repeat them.
_FATAL = (UsageError, TargetError, UnsupportedError, DeviceError, InvalidGraphError, UnavailableError)


@dataclass(frozen=True)
class Run:
    """A run over images.

    Attributes:
        source: What explains.
        asked: The keywords of `Explains.explain` for each image.
        wanted: What is written of each image.
        kept: What is written of all of them.
        said: All of this as the command line says it, in plain values; a run that was broken off goes on if the next
            one says the same.
        measure: Adds the distances to a memory bank; None without one.

    """

    source: Source
    asked: dict[str, Any]
    wanted: Wanted
    kept: Kept
    said: dict[str, Any]
    measure: Measure | None = None

    def over(self, photos: Sequence[Photo]) -> list[str]:
        """Explains image by image; the problems of those that failed."""
        is_one_of_many = len(photos) > 1 or self.kept.needs_rows or self.kept.truth is not None
        model = self.source.facts() if is_one_of_many else {}
        if self.kept.truth is not None:
            photos = with_truths(photos, self.kept.truth, self.source.manifest)
        journal = Journal(self.wanted.folder, {**self.said, "model": model})
        todo = [photo for photo in photos if journal.row(photo) is None]
        if len(todo) < len(photos):
            done = len(photos) - len(todo)
            click.echo(f"{done} of {len(photos)} images were done by an earlier run that was broken off.", err=True)
        for photo, answer in _with_progress(self._answers(todo), len(todo)):
            try:
                self._explain(photo, answer, journal, is_alone=len(photos) == 1)
            except OSError as error:
                raise UsageError(f"{self.wanted.folder} cannot be written to: {error.strerror}.") from error
        self._write(photos, journal, model)
        problems = [named(photo.path, row["error"]) for photo, row in journal.rows(photos) if row["error"] is not None]
        journal.remove()
        return problems

    def _answers(self, photos: Sequence[Photo]) -> Iterator[tuple[Photo, Callable[[], Result]]]:
        """For each image what gives its result, or raises; a server works on the next ones while one is drawn here.

        Images that are asked the same come together, as a stream asks the same of each.
        """
        explains = self.source.explains
        for _, group in groupby(sorted(photos, key=_alike), key=_alike):
            alike = list(group)
            asked, paths = asked_with_truth(alike[0], self.asked, self.source.manifest), [photo.path for photo in alike]
            if isinstance(explains, Explainer | SceneExplainer) or len(alike) == 1 or alike[0].is_tensor:
                yield from ((photo, partial(self._explained, photo, **asked)) for photo in alike)
                continue
            for photo, outcome in zip(alike, explains.explain_many(paths, **asked), strict=True):
                yield photo, partial(getattr, outcome, "result")

    def _explained(self, photo: Photo, **asked: Any) -> Result:
        return self.source.explains.explain(**photo.subject(), **asked)

    def _explain(self, photo: Photo, answer: Callable[[], Result], journal: Journal, *, is_alone: bool) -> None:
        wanted = self.wanted
        labels = self.source.manifest.class_labels if photo.truth is not None else ()
        try:
            result = answer()
            result = judged(photo, result, self.source.manifest, partial(self._explained, photo, **self._untargeted))
            if self.measure is not None:
                result = self.measure.added(result, photo.path)
            if result.embedding is not None and not result.explanations and not self.kept.needs_rows:
                raise UsageError(_NOTHING_ASKED)
            place = None if photo.is_tensor else read_georeference(photo.path)
            maps = write_maps(result, photo.name, wanted, place)
            files = [*write_pictures(result, photo.name, Path(photo.shown).name, wanted), *maps]
            files += write_world_files(result, files, place)
            row = row_of(photo, labels, result, maps, files) if self.kept.needs_rows else _short_row(files)
            shown = thumbnails(result, wanted) if self.kept.report is not None else []
        except CamgraphError as error:
            if isinstance(error, _FATAL) and (is_alone or not isinstance(error, NotInImageError)):
                raise
            journal.add(photo, failed_row(photo, labels, str(error)), [])
        else:
            print_report(Console(), photo.shown, result, files, with_regions=wanted.with_regions)
            journal.add(photo, row, shown)

    @property
    def _untargeted(self) -> dict[str, Any]:
        return {key: value for key, value in self.asked.items() if key not in ("targets", "top_k")}

    def _write(self, photos: Sequence[Photo], journal: Journal, model: dict[str, Any]) -> None:
        rows = [row for _, row in journal.rows(photos)]
        files = self.kept.write_tables(model, rows)
        if self.kept.report is not None:
            write_page(
                self.kept.report,
                model,
                journal.rows(photos),
                journal.pictures,
                colormap=self.asked["colormap"],
                shared_scale=self.wanted.shared_scale,
            )
            files.append(self.kept.report)
        for path in files:
            click.echo(f"wrote {path}")


def _short_row(files: Sequence[Path]) -> Row:
    """A row of which only the journal reads."""
    return {"error": None, "files": [str(path) for path in files]}


def _alike(photo: Photo) -> tuple[int, bool]:
    """The same of images that are asked the same."""
    return -1 if photo.truth is None else photo.truth, bool(photo.numbers)


def _with_progress(
    answers: Iterator[tuple[Photo, Callable[[], Result]]], count: int
) -> Iterator[tuple[Photo, Callable[[], Result]]]:
    """The images, with a progress bar on stderr if there are several and somebody looks on."""
    console = Console(stderr=True)
    if count > 1 and console.is_terminal:
        yield from track(answers, description="explaining", total=count, console=console, transient=True)
    else:
        yield from answers


def summary_of(problems: list[str], count: int) -> str:
    """What is said of the images that could not be explained."""
    if count == 1:
        return problems[0]
    listed = "\n".join(f"  {problem}" for problem in problems)
    return f"{len(problems)} of {count} images could not be explained:\n{listed}"
