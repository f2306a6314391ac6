"""Where `camgraph explain` explains: a graph in this process, or a model of a server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from camgraph_client.cli.connection import ServerOptions
from camgraph_core.errors import UsageError
from camgraph_runtime import Explainer
from camgraph_runtime.run.blas import limit_blas_threads

if TYPE_CHECKING:
    from camgraph_client.sync import RemoteModel


def open_source(where: ServerOptions, options: dict[str, Any]) -> Explainer | RemoteModel:
    """What explains, to be closed after the run.

    Raises:
        UsageError: There is neither a graph nor a server, or both, or options that do not go together.

    """
    graph = options["graph"]
    if (graph is None) == (where.server is None):
        raise UsageError("Say where to explain: either --graph FILE, or --server HOST:PORT with --model NAME.")
    if graph is not None:
        if options["model"] or options["model_version"]:
            raise UsageError("--model and --model-version name a model on a server; leave them out with --graph.")
        limit_blas_threads()
        explainer = Explainer(graph, device=options["device"], exact_int8=not options["fast_int8"])
        for note in explainer.engine.notes:
            click.echo(f"Note: {note}", err=True)
        return explainer
    if options["fast_int8"]:
        raise UsageError("--fast-int8 goes with --graph; a server is told by its own option at its start.")
    return where.open().model(options["model"], options["model_version"])
