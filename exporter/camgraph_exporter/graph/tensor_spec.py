"""What the manifest says of a tensor."""

from __future__ import annotations

import onnx_ir as ir

from camgraph.v1 import manifest_pb2 as pb
from camgraph_exporter.graph.dims import known_dims, name_of


def tensor_spec(value: ir.Value) -> pb.TensorSpec:
    """Describe a value by name, element type and shape."""
    dtype = value.dtype.numpy().name if value.dtype is not None else "float32"
    return pb.TensorSpec(name=str(value.name), dtype=dtype, shape=map(name_of, known_dims(value)))
