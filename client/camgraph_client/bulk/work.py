"""The work of one process: a part's images in, a file of results out."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from camgraph_client.bulk.maps import Kind, Numbers, map_of
from camgraph_client.bulk.results import Part, Results
from camgraph_client.bulk.rows import Row, row_of, schema_of
from camgraph_client.bulk.store import opened
from camgraph_core.errors import CamgraphError, InvalidInputError
from camgraph_core.redaction import without_credentials
from camgraph_core.target import Target
from camgraph_runtime import Batching, Explainer, Limits, Threads

T = TypeVar("T")
A = TypeVar("A")

_READ_AHEAD = 16  # images that are fetched while others are explained: a shared store answers late, but many at once
_ON_GPU = Batching(16)
_CALLERS_ON_GPU = 32  # one batch runs while the images of the next are decoded


@dataclass(frozen=True)
class Work:
    """What each process does; it is sent to all of them.

    Attributes:
        results: URL of the folder of results.
        model_sha256: Digest of the graph.
        asked: The keywords of `Explains.explain` for each image.
        kind: Which map is kept.
        numbers: What it is kept as.
        max_side: Longest side of a map in the frame of the photo, in pixels.
        device: Where the graph runs.
        cores: CPU cores of each process.
        with_gpu: Whether images are run together, as pays on a GPU.
        max_pixels: Most pixels of an image.
        max_bytes: Most bytes of an image's file.

    """

    results: str
    model_sha256: str
    asked: dict[str, Any]
    kind: Kind
    numbers: Numbers
    max_side: int
    device: str
    cores: int
    with_gpu: bool
    max_pixels: int
    max_bytes: int


class Worker:
    """Explains parts, with the model loaded once.

    Args:
        work: What to do.
        graph: The graph: its bytes, or the path of a file that has its weights beside it.

    Raises:
        CamgraphError: The graph cannot be loaded, or the device is not available.

    """

    def __init__(self, work: Work, graph: bytes | str) -> None:
        self._work = work
        self._explainer = Explainer(
            graph,
            device=work.device,
            threads=Threads(intra_op=work.cores),
            limits=Limits(max_pixels=work.max_pixels),
            batching=_ON_GPU if work.with_gpu else None,
        )
        self._results = Results(work.results)

    def do(self, part: Part) -> int:
        """Explains the images of a part and writes its file; how many of them could not be explained."""
        images = self._results.images(part)
        with ThreadPoolExecutor(_READ_AHEAD) as readers, ThreadPoolExecutor(self._callers) as callers:
            contents = ahead(readers, self._read, (image for image, _ in images), _READ_AHEAD + self._callers)
            work = ((image, target, content) for (image, target), content in zip(images, contents, strict=True))
            rows = [future.result() for future in ahead(callers, self._row, work, self._callers)]
        self._results.keep(part, rows, schema_of(self._work.kind, self._work.numbers))
        return sum(row["error"] is not None for row in rows)

    @property
    def _callers(self) -> int:
        return _CALLERS_ON_GPU if self._work.with_gpu else 1

    def _read(self, image: str) -> bytes:
        """The bytes of an image.

        Raises:
            InvalidInputError: It cannot be read, or has too many.

        """
        most = self._work.max_bytes
        try:
            files, path = opened(image)
            with files.open(path, "rb") as file:
                content: bytes = file.read(most + 1)
        except Exception as error:  # each file system of fsspec has errors of its own
            reason = without_credentials(f"{type(error).__name__}: {error}")
            raise InvalidInputError(f"It cannot be read ({reason}).") from error
        if len(content) > most:
            raise InvalidInputError(f"Its file has more than {most >> 20} MiB, which is the limit (--max-image-mib).")
        return content

    def _row(self, item: tuple[str, str, Future[bytes]]) -> Row:
        image, target, content = item
        row = {"image": image, "asked_target": target or None, "model_sha256": self._work.model_sha256, "error": None}
        try:
            asked = {**self._work.asked, "targets": (Target.parse(target),)} if target else self._work.asked
            result = self._explainer.explain(content.result(), **asked)
            work = self._work
            maps = [map_of(each, work.kind, work.numbers, work.max_side) for each in result.explanations]
        except CamgraphError as error:
            return row | {"error": str(error)}
        except Exception as error:  # a run of days does not end with one image, whatever is wrong with it
            return row | {"error": f"It could not be explained ({type(error).__name__}: {error})."}
        return row | row_of(result, maps)


def ahead(pool: ThreadPoolExecutor, work: Callable[[A], T], items: Iterable[A], most: int) -> Iterator[Future[T]]:
    """Begins work on up to ``most`` items before their results are asked for, in their order."""
    waiting = iter(items)
    begun: deque[Future[T]] = deque(pool.submit(work, item) for item in itertools.islice(waiting, most))
    while begun:
        yield begun.popleft()
        begun.extend(pool.submit(work, item) for item in itertools.islice(waiting, 1))
