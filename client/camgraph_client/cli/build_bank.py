"""The command `camgraph build-bank`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from camgraph_cli.options import Text
from camgraph_client.cli.photos import photos_of
from camgraph_core.request import Request
from camgraph_core.windows import window_from
from camgraph_runtime import Explainer
from camgraph_runtime.bank_builder import PATCHES, REACH
from camgraph_runtime.bank_builder import build_bank as build
from camgraph_runtime.run.blas import limit_blas_threads


@click.command()
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...", type=click.Path(path_type=Path))
@click.option(
    "--graph",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Explainable graph, of any task.",
)
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="File of the bank (.npz).",
)
@click.option(
    "--layer",
    multiple=True,
    type=Text(),
    help="Layer whose activations are kept; repeatable, several are joined cell by cell. Default: the graph's first.",
)
@click.option(
    "--patches",
    type=click.IntRange(min=2),
    default=PATCHES,
    help="Most patches that the bank keeps, chosen so that they cover all.",
)
@click.option(
    "--reach",
    type=click.IntRange(0, 10),
    default=REACH,
    help="Neighbours in each direction that a cell is averaged with: 1 for 3 x 3 cells.",
)
@click.option("--window", metavar="LOW,HIGH|NAME", help="As for explain, which must then be given the same.")
@click.option("--device", metavar="DEVICE", default="cpu", help="As for explain.")
def build_bank(images: tuple[Path, ...], graph: Path, output: Path, **options: Any) -> None:
    """Build a memory bank of good images, which `camgraph explain --bank` holds others against.

    An IMAGE is a file, a folder, which stands for all pictures in it, or a quoted pattern such as "good/**/*.jpg".
    """
    photos = photos_of(images, output)
    limit_blas_threads()
    request = Request(window=None if options["window"] is None else window_from(options["window"]))
    with Explainer(graph, device=options["device"]) as explainer:
        bank = build(
            explainer,
            [photo.path for photo in photos],
            layers=options["layer"],
            patches=options["patches"],
            reach=options["reach"],
            request=request,
        )
    bank.save(output)
    click.echo(
        f"wrote {output}: {len(bank.patches)} patches of {bank.patches.shape[1]} numbers, from {len(photos)} images"
    )
