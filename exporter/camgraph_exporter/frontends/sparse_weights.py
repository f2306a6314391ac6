"""Writes sparse weights out in full: onnxruntime does so when it loads a file, and nothing else here knows them."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import onnx
from onnx import numpy_helper

from camgraph_exporter.errors import ModelFileError

# One file holds no more than this in full.
_LARGEST = 2**31


def fill_sparse_weights(model: onnx.ModelProto, folder: str) -> None:
    """Turn the sparse initializers and sparse Constant nodes of all graphs into dense ones, in place.

    Args:
        model: the file's content.
        folder: where external data lie.

    Raises:
        ModelFileError: places lie outside a tensor, or a tensor is too large to be written out.

    """
    for graph in _graphs(model.graph):
        graph.initializer.extend(_dense(sparse, sparse.values.name, folder) for sparse in graph.sparse_initializer)
        del graph.sparse_initializer[:]
        for node in graph.node:
            for attribute in node.attribute:
                if node.op_type == "Constant" and attribute.name == "sparse_value":
                    tensor = _dense(attribute.sparse_tensor, node.output[0], folder)
                    attribute.CopyFrom(onnx.helper.make_attribute("value", tensor))


def _graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """Yield a graph and those inside of its nodes."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in [attribute.g] if attribute.HasField("g") else attribute.graphs:
                yield from _graphs(inner)


def _dense(sparse: onnx.SparseTensorProto, name: str, folder: str) -> onnx.TensorProto:
    shape = tuple(sparse.dims)
    values = numpy_helper.to_array(sparse.values, folder).reshape(-1)
    size = math.prod(shape)
    if size * values.itemsize > _LARGEST:
        raise ModelFileError(
            f"The sparse weight {name!r} has the shape {list(shape)}, which is too large to be written out in full. "
            "Export the model with dense external weights."
        )
    places = _places(sparse, shape, folder)
    if len(places) != len(values) or ((places < 0) | (places >= size)).any():
        raise ModelFileError(
            f"The sparse weight {name!r} has values at places that its shape {list(shape)} does not have: the file is "
            "damaged. Export the model again."
        )
    dense = np.zeros(size, values.dtype)
    dense[places] = values
    return numpy_helper.from_array(dense.reshape(shape), name)


def _places(sparse: onnx.SparseTensorProto, shape: tuple[int, ...], folder: str) -> np.ndarray:
    """Return the positions in the flattened tensor, int64 [values]; -1 for a place outside."""
    indices = numpy_helper.to_array(sparse.indices, folder).astype(np.int64)
    if indices.ndim != 2:
        return indices.reshape(-1)
    if indices.shape[1] != len(shape):
        return np.full(len(indices), -1)
    inside = ((indices >= 0) & (indices < np.asarray(shape))).all(axis=1)
    steps = np.asarray([math.prod(shape[axis + 1 :]) for axis in range(len(shape))], np.int64)
    return np.where(inside, indices @ steps, -1)
