"""Where `camgraph explain` explains: a graph in this process, or a model of a server."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from camgraph.v1.manifest_pb2 import Manifest
from camgraph_client.cli.bank_option import OF_MODEL
from camgraph_client.cli.connection import ServerOptions
from camgraph_client.cli.progress import window_progress
from camgraph_client.cli.report.model import facts_of_file, facts_of_served
from camgraph_core.errors import UsageError
from camgraph_runtime import Explainer, SceneExplainer
from camgraph_runtime.bank.beside import bank_of
from camgraph_runtime.run.blas import limit_blas_threads

if TYPE_CHECKING:
    from camgraph_client.sync import RemoteModel
    from camgraph_wire.models import ModelDetails


@dataclass(frozen=True)
class Source:
    """What explains.

    Attributes:
        explains: The graph, as it is or window by window, or the model of a server.
        graph: The graph's file, if it is one.

    """

    explains: Explainer | SceneExplainer | RemoteModel
    graph: Path | None

    def close(self) -> None:
        """Frees the graph, or closes the connection."""
        self.explains.close()

    @cached_property
    def _details(self) -> ModelDetails | None:
        """What the server says of its model; None of a graph."""
        return None if isinstance(self.explains, Explainer | SceneExplainer) else self.explains.details()

    @property
    def manifest(self) -> Manifest:
        """The model's manifest; a server is asked for it once."""
        if isinstance(self.explains, Explainer | SceneExplainer):
            return self.explains.manifest
        assert self._details is not None
        return self._details.manifest

    def facts(self) -> dict[str, Any]:
        """Name, digest and certificate of the model, as reports state them.

        Raises:
            InvalidGraphError: The graph's file cannot be read.
            RemoteError: The server gives no answer.

        """
        if self.graph is not None:
            return facts_of_file(self.graph, self.manifest)
        assert self._details is not None
        info = self._details.info
        return facts_of_served(info.name, info.version, self.manifest)


def _by_windows(explainer: Explainer, options: dict[str, Any]) -> SceneExplainer:
    tile, overlap = options["tile"], options["overlap"]
    overlap = tile // 8 if overlap is None else overlap
    return SceneExplainer(explainer, tile=tile, overlap=overlap, progress=window_progress())


def check_place(where: ServerOptions, options: dict[str, Any]) -> None:
    """Checks that it is said where to explain, and that the options go with that.

    Raises:
        UsageError: There is neither a graph nor a server, or both, or options that do not go together.

    """
    has_graph = options["graph"] is not None
    if has_graph == (where.server is not None):
        raise UsageError("Say where to explain: either --graph FILE, or --server HOST:PORT with --model NAME.")
    if options["overlap"] is not None and options["tile"] is None:
        raise UsageError("--overlap says how windows overlap; give their side with --tile.")
    if has_graph and (options["model"] or options["model_version"]):
        raise UsageError("--model and --model-version name a model on a server; leave them out with --graph.")
    if not has_graph and options["tile"] is not None:
        raise UsageError("--tile goes with --graph: a scene is explained window by window in this process.")
    if not has_graph and options["fast_int8"]:
        raise UsageError("--fast-int8 goes with --graph; a server is told by its own option at its start.")


def open_source(where: ServerOptions, options: dict[str, Any]) -> Source:
    """What explains, to be closed after the run; the errors are those of `check_place`."""
    check_place(where, options)
    graph = options["graph"]
    if graph is None:
        return Source(where.open().model(options["model"], options["model_version"]), None)
    limit_blas_threads()
    bank = bank_of(graph) if options["bank"] == OF_MODEL else None
    explainer = Explainer(graph, device=options["device"], exact_int8=not options["fast_int8"], bank=bank)
    for note in explainer.engine.notes:
        click.echo(f"Note: {note}", err=True)
    return Source(explainer if options["tile"] is None else _by_windows(explainer, options), graph)
