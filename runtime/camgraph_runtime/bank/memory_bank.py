"""A memory bank: what good images show, and how far another image is from it."""

from __future__ import annotations

import hashlib
import io
import json
import math
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np

from camgraph.v1.manifest_pb2 import Layer, Manifest
from camgraph_core.canvas import Canvas
from camgraph_core.errors import InvalidInputError, TooLargeError, UsageError
from camgraph_core.explanation import Explanation
from camgraph_core.frame import Frame
from camgraph_core.result import NO_CLASS, ClassScore
from camgraph_core.statistics import MapStatistics
from camgraph_core.types import FloatArray
from camgraph_runtime.bank.distances import nearest
from camgraph_runtime.bank.patches import PatchGrid, patches_of
from camgraph_runtime.maps.placement import Placement
from camgraph_runtime.plan import find_layer

METHOD = "patch-distance"
"""The name of the method of an explanation that shows distances."""

LABEL = "unlike the bank"

_FORMAT = 1
_LARGEST = 1 << 30  # bytes of the arrays in a bank's file
_MOST_PRODUCTS = 1 << 38  # of numbers, for the distances of one image: about ten seconds of a core


@dataclass(frozen=True)
class BankHeader:
    """What a bank was made of.

    Attributes:
        layers: Names of the layers.
        reach: Neighbours of a cell that it is averaged with, in each direction.
        graph: SHA-256 of the graph, as its manifest says; empty if that does not.
        limit: The largest distance of a patch of a good image to the bank's patches of the others: the unit of all
            distances.
        arrays: SHA-256 of the bank's arrays; empty if it is not stated.
        format: Version of the file.

    """

    layers: tuple[str, ...]
    reach: int
    graph: str
    limit: float
    arrays: str = ""
    format: int = _FORMAT


@dataclass(frozen=True, eq=False)
class MemoryBank:
    """Patches of good images; an image is as unlike them as its farthest patch is (Roth et al. 2022).

    A distance is Euclidean, between vectors of activations, in units of the bank's limit: a patch beyond 1 is farther
    from the bank than any patch of a good image is from those of the others.

    Attributes:
        header: What it was made of.
        patches: float32 [M, K].
        scores: Of each good image, its largest distance to the bank's patches of the others, float32 [images].

    """

    header: BankHeader
    patches: FloatArray = field(repr=False)
    scores: FloatArray = field(repr=False)

    @property
    def digest(self) -> str:
        """SHA-256 of its arrays."""
        return self.header.arrays or digest_of_arrays(self.patches, self.scores)

    def distances(self, activations: Sequence[FloatArray], manifest: Manifest, frame: Frame) -> PatchDistances:
        """How far each cell of an image is from the bank.

        Args:
            activations: A [K, h, w] of each of the bank's layers.
            manifest: The manifest of the graph that gave them.
            frame: Where the photo lies in the network's input.

        Raises:
            UsageError: The bank is of another graph.
            TooLargeError: The image has too many cells for a bank of this size.

        """
        self.check(manifest)
        layers = [find_layer(manifest, name) for name in self.header.layers]
        grid = grid_of(layers, activations, frame, self.header.reach)
        if grid.vectors.shape[1] != self.patches.shape[1]:
            raise UsageError(
                f"The bank's patches have {self.patches.shape[1]} numbers, the layers give {grid.vectors.shape[1]}. "
                "Build it again with this graph."
            )
        products = len(grid.vectors) * self.patches.size
        if products > _MOST_PRODUCTS:
            raise TooLargeError(
                f"The image has {len(grid.vectors)} cells, and each is held against {len(self.patches)} patches of the "
                "bank, which takes too long. Send a smaller image, or build a bank with fewer patches."
            )
        return PatchDistances((nearest(grid.vectors, self.patches) / self.header.limit).reshape(grid.size), grid)

    def beside(self, explanation: Explanation, manifest: Manifest) -> Explanation:
        """The distances of an explained image as one more explanation of it, with the same outputs and pictures.

        Its target's score is that of the image. The heat is half of the distance, cut off at 1, so that it is the
        same for all images, and `hot_regions` by their default are the parts beyond the limit.

        Args:
            explanation: One of a result, with the activations of the bank's layers.
            manifest: The manifest of the graph.

        Raises:
            AbsentOutputError: The activations were not asked for.
            UsageError: They are of other layers, or the bank is of another graph.

        """
        lacking = [name for name in self.header.layers if name not in explanation.layers]
        if lacking:
            raise UsageError(f"The bank needs the layer {lacking[0]!r}, which was not explained. Name it as a layer.")
        of_layer = dict(zip(explanation.layers, explanation.activations, strict=True))
        return self.measured([of_layer[name] for name in self.header.layers], manifest, explanation.canvas)

    def measured(self, activations: Sequence[FloatArray], manifest: Manifest, canvas: Canvas) -> Explanation:
        """The distances of an image as an explanation, see `beside`.

        Args:
            activations: A [K, h, w] of each of the bank's layers.
            manifest: The manifest of the graph that gave them.
            canvas: What pictures of the image are drawn on and with.

        Raises:
            UsageError: The bank is of another graph.

        """
        found = self.distances(activations, manifest, canvas.frame)
        return Explanation(
            target=ClassScore(NO_CLASS, LABEL, found.score, math.nan),
            contrast=None,
            negative=False,
            statistics=MapStatistics.of(found.map),
            layers=self.header.layers[:1],
            method=METHOD,
            in_input_frame=True,
            canvas=canvas,
            given={"raw-map": (found.map,), "input-heatmap": found.heat()},
            complete=True,
            has_own_scale=True,
        )

    def check(self, manifest: Manifest) -> None:
        """Checks that the bank is of this graph.

        Raises:
            UsageError: It is not.

        """
        graph = manifest.digest.graph_sha256
        if self.header.graph and graph and graph != self.header.graph:
            raise UsageError("The bank was built with another graph. Build it again with this one.")

    def save(self, path: str | Path) -> None:
        """Writes the bank to a file of NumPy's (.npz)."""
        buffer = io.BytesIO()
        header = np.frombuffer(json.dumps(asdict(self.header)).encode(), np.uint8)
        np.savez_compressed(buffer, header=header, patches=self.patches, scores=self.scores)
        Path(path).write_bytes(buffer.getvalue())

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Reads a bank.

        Raises:
            InvalidInputError: The file cannot be read, or is not a bank.

        """
        size = arrays_size(path)
        if size > _LARGEST:
            raise InvalidInputError(f"The bank has {size} bytes of arrays, but the limit is {_LARGEST}.")
        try:
            header, patches, scores = _read(Path(path))
        except InvalidInputError:
            raise
        except Exception as error:  # zipfile, json and NumPy raise anything on what is not theirs
            raise InvalidInputError(f"{path} is not a bank. Build one with camgraph build-bank.") from error
        return cls(header, patches, scores)


def arrays_size(path: str | Path) -> int:
    """Bytes that a bank takes in memory, from what its file states, or those of the file if there are more.

    Raises:
        InvalidInputError: The file cannot be read, or is not a bank.

    """
    try:
        with zipfile.ZipFile(path) as archive:
            return max(Path(path).stat().st_size, sum(item.file_size for item in archive.infolist()))
    except OSError as error:
        raise InvalidInputError(f"The bank {path} cannot be read: {error.strerror}.") from error
    except Exception as error:  # zipfile raises anything on what is not its own
        raise InvalidInputError(f"{path} is not a bank. Build one with camgraph build-bank.") from error


def digest_of_arrays(patches: FloatArray, scores: FloatArray) -> str:
    """SHA-256 of a bank's arrays, as `BankHeader.arrays` has it."""
    little = (np.ascontiguousarray(array, array.dtype.newbyteorder("<")) for array in (patches, scores))
    digest = hashlib.sha256()
    for array in little:
        digest.update(array.tobytes())
    return digest.hexdigest()


@dataclass(frozen=True, eq=False)
class PatchDistances:
    """How far the cells of an image are from a bank.

    Attributes:
        map: float32 [h, w], in units of the bank's limit.
        grid: The cells.

    """

    map: FloatArray
    grid: PatchGrid

    @property
    def score(self) -> float:
        """The largest distance: that of the image."""
        return float(self.map.max())

    def heat(self) -> FloatArray:
        """Half of the distances, at most 1, laid onto the network's input: float32 [H, W]."""
        return self.grid.placement.lay(np.minimum(self.map / 2, np.float32(1)))


def grid_of(layers: Sequence[Layer], activations: Sequence[FloatArray], frame: Frame, reach: int) -> PatchGrid:
    """The vectors of an image's cells, of the activations of some layers."""
    places = [
        Placement.of_layer(layer, frame.network_size, (array.shape[1], array.shape[2]))
        for layer, array in zip(layers, activations, strict=True)
    ]
    return patches_of(activations, places, reach)


def _read(path: Path) -> tuple[BankHeader, FloatArray, FloatArray]:
    with np.load(path, allow_pickle=False) as arrays:
        fields: dict[str, Any] = json.loads(arrays["header"].tobytes())
        patches, scores = arrays["patches"], arrays["scores"]
    if fields["format"] != _FORMAT:
        raise InvalidInputError("The bank was written by another version of camgraph. Build it again.")
    header = BankHeader(**{**fields, "layers": tuple(fields["layers"])})
    is_sound = (
        (patches.dtype, patches.ndim, scores.dtype, scores.ndim) == (np.float32, 2, np.float32, 1)
        and patches.size
        and np.isfinite(patches).all()
        and 0 < header.limit < math.inf
    )
    if is_sound and header.arrays not in ("", digest_of_arrays(patches, scores)):
        raise InvalidInputError("The bank's arrays are not those that it was written with. Build it again.")
    if not is_sound:
        raise InvalidInputError("The bank is damaged. Build it again.")
    return header, patches, scores
