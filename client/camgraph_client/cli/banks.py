"""What `camgraph explain --bank` adds to the explanations of an image."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from camgraph.v1 import manifest_pb2 as pb
from camgraph_client.cli.source import Source
from camgraph_core.explanation import Explanation
from camgraph_core.result import Result
from camgraph_core.target import Target
from camgraph_runtime.bank.memory_bank import MemoryBank


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
