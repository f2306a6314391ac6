"""The run of `camgraph explain` over its images."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import track

from camgraph_client.cli.pictures import Wanted, unique_names, write_pictures
from camgraph_client.cli.tables import print_report
from camgraph_core.errors import (
    CamgraphError,
    DeviceError,
    InvalidGraphError,
    TargetError,
    UnavailableError,
    UnsupportedError,
    UsageError,
)
from camgraph_core.result import Result
from camgraph_runtime import Explainer

if TYPE_CHECKING:
    from camgraph_client.sync import RemoteModel

# These are about the whole run, not about one image: going on would only repeat them.
_FATAL = (UsageError, TargetError, UnsupportedError, DeviceError, InvalidGraphError, UnavailableError)


def explain_all(
    images: Sequence[Path], source: Explainer | RemoteModel, asked: dict[str, Any], wanted: Wanted
) -> list[str]:
    """Explains image by image; returns the problems of those that failed."""
    console, problems = Console(), []
    answers = _answers(images, source, asked)
    for path, name, answer in zip(_with_progress(images), unique_names(images), answers, strict=True):
        try:
            result = answer()
            files = write_pictures(result, name, path.name, wanted)
        except _FATAL:
            raise
        except CamgraphError as error:
            problems.append(_named(path, str(error)))
        else:
            print_report(console, str(path), result, files, with_regions=wanted.with_regions)
    return problems


def _answers(
    images: Sequence[Path], source: Explainer | RemoteModel, asked: dict[str, Any]
) -> Iterator[Callable[[], Result]]:
    """For each image what gives its result, or raises; a server works on the next ones while one is drawn here."""
    if isinstance(source, Explainer) or len(images) == 1:
        yield from (partial(source.explain, image, **asked) for image in images)
    else:
        for outcome in source.explain_many(images, **asked):
            yield partial(getattr, outcome, "result")


def _with_progress(images: Sequence[Path]) -> Iterator[Path]:
    """The images, with a progress bar on stderr if there are several and somebody looks on."""
    console = Console(stderr=True)
    if len(images) > 1 and console.is_terminal:
        yield from track(images, description="explaining", console=console, transient=True)
    else:
        yield from images


def _named(path: Path, problem: str) -> str:
    return problem if str(path) in problem else f"{path}: {problem}"


def summary_of(problems: list[str], count: int) -> str:
    """What is said of the images that could not be explained."""
    if count == 1:
        return problems[0]
    listed = "\n".join(f"  {problem}" for problem in problems)
    return f"{len(problems)} of {count} images could not be explained:\n{listed}"
