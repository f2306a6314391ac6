"""What `camgraph explain --bank` adds to the explanations of an image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import numpy as np

from camgraph.v1 import manifest_pb2 as pb
from camgraph_client.cli.photos import photos_of
from camgraph_client.cli.source import Source
from camgraph_core.errors import UsageError
from camgraph_core.explanation import Explanation
from camgraph_core.request import Request
from camgraph_core.result import Result
from camgraph_core.target import Target
from camgraph_runtime import Explainer
from camgraph_runtime.bank.memory_bank import MemoryBank
from camgraph_runtime.bank_builder import build_bank


@dataclass(frozen=True)
class Measure:
    """How far images are from a bank.

    Attributes:
        bank: The bank.
        source: What explains.
        asked: The keywords of `Explains.explain` for each image.

    """

    bank: MemoryBank
    source: Source
    asked: dict[str, Any]

    def added(self, result: Result, path: Path) -> Result:
        """A result with one more explanation: the distances to the bank.

        Raises:
            UsageError: The bank is of another graph.

        """
        manifest = self.source.manifest
        self.bank.check(manifest)
        shown = next((item for item in result.explanations if self._serves(item)), None) or self._again(path, manifest)
        beside = self.bank.beside(shown, manifest)
        return replace(result, explanations=[*result.explanations, replace(beside, canvas=result.canvas)])

    def _serves(self, explanation: Explanation) -> bool:
        return set(self.bank.header.layers) <= set(explanation.layers)

    def _again(self, path: Path, manifest: pb.Manifest) -> Explanation:
        """An explanation of the bank's layers, which those of the result are not of."""
        targets = [Target.direction(np.ones(manifest.head.embedding_size))] if manifest.head.embedding_size else []
        asked = {**self.asked, "targets": targets, "top_k": 0, "layers": self.bank.header.layers, "method": "eigen-cam"}
        return self.source.explains.explain(path, **{**asked, "outputs": ["activations"]}).explanations[0]


def good_images(bank: Path | str | None, output: Path) -> list[Path]:
    """The images of a folder that is named in place of a bank's file; none of anything else.

    Raises:
        UsageError: The folder has no pictures.

    """
    if not (isinstance(bank, Path) and bank.is_dir()):
        return []
    return [photo.path for photo in photos_of([bank], output)]


def measure_of(bank: Path | str | None, good: Sequence[Path], source: Source, asked: dict[str, Any]) -> Measure | None:
    """What adds the distances to a bank of the caller's own; None without one.

    Args:
        bank: The bank's file, or the folder of good images.
        good: These images, of which `camgraph build-bank` would build the same; none if it is a file.
        source: What explains.
        asked: The keywords of `Explains.explain` for each image.

    Raises:
        UsageError: Good images cannot be run here.
        InvalidInputError: The file is not a bank, or the images make none.

    """
    if not isinstance(bank, Path):
        return None
    if not good:
        return Measure(MemoryBank.load(bank), source, asked)
    if not isinstance(source.explains, Explainer):
        raise UsageError(
            f"{bank} is a folder, whose bank is built in this process of whole images: leave out --server and --tile, "
            "or name the file of a bank."
        )
    built = build_bank(source.explains, good, layers=asked["layers"], request=Request(window=asked["window"]))
    click.echo(f"A bank of {len(built.patches)} patches was built from {len(good)} good images.", err=True)
    return Measure(built, source, asked)
