"""Builds a memory bank of good images."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from camgraph.v1.manifest_pb2 import Layer
from camgraph_core.errors import InvalidInputError, UsageError
from camgraph_core.painter import ImageSource
from camgraph_core.request import Request
from camgraph_core.types import FloatArray
from camgraph_runtime.bank.coreset import greedy_coreset
from camgraph_runtime.bank.distances import nearest
from camgraph_runtime.bank.memory_bank import BankHeader, MemoryBank, digest_of_arrays, grid_of
from camgraph_runtime.explainer import Explainer
from camgraph_runtime.plan import find_layer, make_prediction_plan

PATCHES, REACH = 5000, 1

_MOST_CANDIDATES = 100_000
_CANDIDATE_BYTES = 1 << 28


def build_bank(
    explainer: Explainer,
    images: Sequence[ImageSource],
    *,
    layers: Sequence[str] = (),
    patches: int = PATCHES,
    reach: int = REACH,
    seed: int = 0,
    request: Request | None = None,
) -> MemoryBank:
    """Builds a bank of what good images show.

    All patches are candidates, or a random part of each image's, so that candidates take 256 MiB at most and are no
    more than 100,000. Of these the greedy coreset keeps ``patches``.

    Args:
        explainer: The graph.
        images: Good images, at least two.
        layers: Layers by name or alias; several are joined cell by cell. By default the graph's first.
        patches: Most patches that the bank keeps.
        reach: Neighbours of a cell that it is averaged with, in each direction.
        seed: Of the random choice.
        request: How an image is read, such as its window.

    Raises:
        InvalidInputError: An image cannot be read, there are too few, or all show the same.
        UnknownLayerError: The graph does not have a layer.
        UsageError: A number is out of range.

    """
    if len(images) < 2:
        raise InvalidInputError("A bank needs two good images or more, as each is measured against the others.")
    if patches < 2 or reach < 0:
        raise UsageError("A bank keeps two patches or more, and the reach is not negative.")
    manifest = explainer.manifest
    taken = [find_layer(manifest, name) for name in layers] or manifest.layers[:1]
    rng, request = np.random.default_rng(seed), request or Request()
    found = (_vectors(explainer, image, taken, reach, request) for image in images)
    vectors, owners = _candidates(found, len(images), rng)
    kept = greedy_coreset(vectors, patches, rng)
    away = nearest(vectors, vectors[kept], owners, owners[kept])
    scores = np.array([away[owners == number].max() for number in range(len(images))], np.float32)
    limit = float(scores.max())
    if not np.isfinite(limit) or limit <= 0:
        raise InvalidInputError(
            "The images show the network the same thing, or patches of one image alone were kept. Give more good "
            "images that differ as good ones do."
        )
    names, graph = tuple(layer.name for layer in taken), manifest.digest.graph_sha256
    digest = digest_of_arrays(vectors[kept], scores)
    return MemoryBank(BankHeader(names, reach, graph, limit, digest), vectors[kept], scores)


def _vectors(
    explainer: Explainer, image: ImageSource, layers: Sequence[Layer], reach: int, request: Request
) -> FloatArray:
    """The vectors of all cells of an image; no gradient is computed."""
    try:
        network_input = explainer.prepare(image, request)
    except InvalidInputError as error:
        if not isinstance(image, str | Path) or str(image) in str(error):
            raise
        raise type(error)(f"{image}: {error}") from error
    plan = explainer.fit(make_prediction_plan(explainer.task, request), network_input)
    tensors = [layer.activations_tensor for layer in layers]
    [inference] = explainer.infer([network_input], [replace(plan, outputs=tuple(tensors))])
    activations = [inference.outputs[name] for name in tensors]
    return grid_of(layers, activations, network_input.frame, reach).vectors


def _candidates(
    images: Iterable[FloatArray], count: int, rng: np.random.Generator
) -> tuple[FloatArray, NDArray[np.int32]]:
    """The vectors of all images, as many as memory is meant for, and the number of the image of each."""
    kept, owners = [], []
    for number, vectors in enumerate(images):
        most = min(_MOST_CANDIDATES, _CANDIDATE_BYTES // (4 * vectors.shape[1])) // count
        if len(vectors) > most:
            vectors = vectors[rng.choice(len(vectors), max(1, most), replace=False)]  # noqa: PLW2901 - a part of it
        kept.append(vectors)
        owners.append(np.full(len(vectors), number, np.int32))
    return np.concatenate(kept), np.concatenate(owners)
