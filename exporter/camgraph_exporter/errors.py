"""Errors of the exporter: a trained model that cannot be made explainable, and why.

::

    CamgraphError
    └── ExportError
        ├── ModelFileError      the file is not a usable ONNX model
        ├── ModuleError         the PyTorch module cannot be built or exported
        ├── ScoreError          the class score cannot be found or is not one
        ├── LayerError          the target layer is missing, not spatial or not connected to the score
        ├── UnknownTensorError  exit code 2: the named layer or score does not exist
        ├── GradientError       operators on the path have no derivative here
        └── CertificateError    the result was computed but did not pass its own checks
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from camgraph_core.errors import CamgraphError
from camgraph_core.names import closest_names

# What helps where a node between the layer and the score has no derivative.
LATER_LAYER = "Choose a layer after it (closer to the output) with --layer"


class ExportError(CamgraphError):
    """The trained model cannot be made explainable."""


class ModelFileError(ExportError):
    """The file is not a usable ONNX model."""


class ModuleError(ExportError):
    """The PyTorch module cannot be built, does not run, or cannot be exported."""


class ScoreError(ExportError):
    """The class score cannot be found, or the named tensor is not one."""


class LayerError(ExportError):
    """The target layer is missing, not spatial, or not connected to the score."""


class UnknownTensorError(ExportError):
    """The user named a layer or a score that the model does not have."""

    exit_code = 2


class GradientError(ExportError):
    """Operators between the layer and the score have no derivative here."""


class CertificateError(ExportError):
    """The explainable graph did not pass its own checks; nothing was written."""


class Problems:
    """Collects errors that do not depend on each other, so that the user reads them all at once."""

    def __init__(self) -> None:
        self._errors: list[CamgraphError] = []

    @contextmanager
    def collect(self) -> Iterator[None]:
        """Keep an error of the block for later; code after the block goes on."""
        try:
            yield
        except CamgraphError as error:
            self._errors.append(error)

    def raise_all(self) -> None:
        """Raise what was collected as one error of the first one's type."""
        if self._errors:
            raise type(self._errors[0])(" ".join(dict.fromkeys(map(str, self._errors)))) from self._errors[0]


def closest(name: str, known: Iterable[str], *, count: int = 3) -> str:
    """Say which known names are near a wrong one: `" Did you mean a, b?"`, or an empty text."""
    matches = closest_names(name, known, count=count, cutoff=0.4)
    return f" Did you mean {', '.join(matches)}?" if matches else ""
