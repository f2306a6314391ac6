"""The command `camgraph repeat`."""

from __future__ import annotations

from pathlib import Path

import click

from camgraph_core.errors import CamgraphError, UsageError
from camgraph_runtime import Engine
from camgraph_runtime.bank.beside import bank_of
from camgraph_runtime.digest import check_digest
from camgraph_runtime.explainers import explainer_of
from camgraph_runtime.preprocess.arrays import map_numbers
from camgraph_server.audit.repeat import differences, entry_in

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.argument("audit_log", type=_FILE)
@click.argument("identifier", metavar="ID")
@click.option("--graph", type=_FILE, required=True, help="The graph that answered the request.")
@click.option(
    "--image",
    "images",
    type=_FILE,
    multiple=True,
    help="The image that it was about; of a clip repeatable, each frame in its order.",
)
@click.option("--tensor", type=_FILE, help="The tensor that it was about, as a .npy file.")
@click.option("--device", default="cpu", show_default=True, help="Where the graph runs.")
def repeat(
    audit_log: Path, identifier: str, graph: Path, images: tuple[Path, ...], tensor: Path | None, device: str
) -> None:
    """Repeat a request of an audit log, and compare the result with it bit for bit.

    ID is the id of a line, or the request id that the caller gave.
    """
    if bool(images) == (tensor is not None):
        raise UsageError("Give the request's --image or its --tensor.")
    entry = entry_in(audit_log, identifier)
    array = None if tensor is None else map_numbers(tensor)
    with explainer_of(Engine(graph, device=device), bank=bank_of(graph)) as explainer:
        check_digest(graph, explainer.manifest.digest)
        found = differences(entry, explainer, [path.read_bytes() for path in images], array)
    if found:
        raise CamgraphError(f"The result is another: {'; '.join(found)}.")
    click.echo("The result is the same, bit for bit.")
