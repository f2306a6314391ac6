"""The command `camgraph bulk`."""

from __future__ import annotations

import click

from camgraph_cli.options import options_of
from camgraph_client.bulk.settings import Asked, Cluster, Lists
from camgraph_core.errors import UsageError


@click.command()
@click.argument("images", nargs=-1, required=True, metavar="IMAGES...")
@click.option("--graph", required=True, metavar="FILE|URL", help="Explainable graph.")
@click.option("-o", "--output", required=True, metavar="FOLDER|URL", help="Folder for the results.")
@options_of(asked=Asked, lists=Lists, where=Cluster)
def bulk(images: tuple[str, ...], graph: str, output: str, asked: Asked, lists: Lists, where: Cluster) -> None:
    """Explain millions of images on a cluster of Ray, into Parquet files.

    IMAGES are pictures, folders, quoted patterns such as "s3://photos/**/*.jpg", text files with a path per line, or
    Parquet files with a column of paths; each by its path, or by a URL that fsspec knows. Each picture becomes one row,
    with its predictions, its explanations, their statistics and maps, or with its error. A run that was broken off goes
    on where it ended when it is started again, and images that are new are added.
    """
    try:
        from camgraph_client.bulk.graph import Graph  # noqa: PLC0415 - what an extra brings
        from camgraph_client.bulk.images import images_of  # noqa: PLC0415 - what an extra brings
        from camgraph_client.bulk.run import Run  # noqa: PLC0415 - what an extra brings
        from camgraph_client.bulk.store import shared  # noqa: PLC0415 - what an extra brings
    except ImportError as error:
        raise UsageError(f"{error}. Install camgraph[bulk].") from error
    model = Graph.read(graph)
    model.check(asked.keywords)
    Run(model, asked, where, shared(output).rstrip("/")).over(images_of(images, lists.column, lists.target_column))
