"""A run: what is left of it is done on the cluster, with a progress bar."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass

import click
import pyarrow as pa
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from camgraph_client.bulk.graph import Graph
from camgraph_client.bulk.on_ray import Done, connected, explained
from camgraph_client.bulk.results import Part, Results
from camgraph_client.bulk.settings import Asked, Cluster
from camgraph_client.bulk.work import Work
from camgraph_core.errors import CamgraphError
from camgraph_core.redaction import without_credentials


@dataclass(frozen=True)
class Run:
    """A run over images.

    Attributes:
        graph: What explains.
        asked: What is explained of each image.
        where: The cluster.
        folder: URL of the folder of results.

    """

    graph: Graph
    asked: Asked
    where: Cluster
    folder: str

    def over(self, images: pa.Table) -> None:
        """Explains those of the images that have no result yet.

        Raises:
            UsageError: The folder has results of a run with other settings or another model.
            CamgraphError: The run cannot go on, or parts of it could not be done.

        """
        results = Results(self.folder)
        results.settle({**asdict(self.asked), "model": self.graph.sha256})
        results.add(images, self.where.images_per_file)
        parts = results.parts()
        todo = self._todo(results, parts)
        before = count_of(parts) - count_of(todo)
        if before:
            click.echo(f"{before} of {count_of(parts)} images were done by an earlier run.", err=True)
        began, now = time.monotonic(), 0
        if todo:
            with connected(self.where):
                for done in _with_progress(self._explained(todo), todo):
                    if done.problem:
                        raise CamgraphError(done.problem)
                    now += done.count
        results.tidy()
        self._report(results, parts, now, time.monotonic() - began)

    def _explained(self, todo: Sequence[Part]) -> Iterator[Done]:
        """Each part when it is done. Those whose processes ended too often are tried again while others succeed.

        Where a machine is lost, its parts use up their tries before Ray knows of it.
        """
        while todo:
            made = set()
            for done in explained(todo, self._work, self.graph.content, self.where):
                made.add(done.file)
                yield done
            if not made:
                return
            todo = [part for part in todo if part.file not in made]

    def _todo(self, results: Results, parts: Sequence[Part]) -> list[Part]:
        done = results.done()
        if self.where.retry_failed:
            done = {name for name, errors in results.errors(done).items() if not errors}
        return [part for part in parts if part.file not in done]

    @property
    def _work(self) -> Work:
        return Work(
            results=self.folder,
            model_sha256=self.graph.sha256,
            asked=self.asked.keywords,
            kind=self.asked.map,
            numbers=self.asked.numbers,
            max_side=self.asked.max_side,
            device=self.where.device,
            cores=self.where.cpus_per_worker,
            with_gpu=self.where.gpus_per_worker > 0,
            max_pixels=int(self.where.max_megapixels * 1e6),
            max_bytes=self.where.max_image_mib << 20,
        )

    def _report(self, results: Results, parts: Sequence[Part], now: int, seconds: float) -> None:
        done = results.done()
        missing = [part for part in parts if part.file not in done]
        failed = sum(results.errors(part.file for part in parts if part.file in done).values())
        rate = f", {now} of them now in {seconds:.0f} s ({now / seconds:.1f} per second)" if now else ""
        click.echo(
            f"{count_of(parts) - count_of(missing)} images are done{rate}; {failed} have an error: "
            f"{without_credentials(self.folder)}"
        )
        if missing:
            raise CamgraphError(
                f"{count_of(missing)} images are not done, as the processes that worked on them ended, perhaps without "
                f"memory. Run the same command again to try them, or with fewer --workers."
            )


def count_of(parts: Iterable[Part]) -> int:
    """How many images some parts have."""
    return sum(part.count for part in parts)


def _with_progress(done: Iterator[Done], parts: Sequence[Part]) -> Iterator[Done]:
    """The parts that are done, with a progress bar on stderr if somebody looks on."""
    console = Console(stderr=True)
    columns = (TextColumn("explaining"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[failed]} failed"))
    with Progress(
        *columns, TimeRemainingColumn(), console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task, failed = bar.add_task("", total=count_of(parts), failed=0), 0
        for part in done:
            failed += part.failed
            bar.update(task, advance=part.count, failed=failed)
            yield part
