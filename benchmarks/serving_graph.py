"""The graph that benchmarks/serving.py measures, for its programs that run it by themselves."""

from __future__ import annotations

import numpy as np
import onnxruntime
from tritonclient.grpc import service_pb2 as pb  # type: ignore[import-untyped]  # it has no types

_TYPES = {"FP32": np.float32, "INT64": np.int64}
_DATATYPES = {np.dtype(kind): name for name, kind in _TYPES.items()}


class Graph:
    """The graph's own inputs and outputs, each run on one thread.

    Args:
        path: The file.
    """

    def __init__(self, path: str) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self._outputs = [each.name for each in self._session.get_outputs()]

    def answer(self, request: pb.ModelInferRequest) -> pb.ModelInferResponse:
        """Runs it for the tensors of a request, which are raw."""
        feeds = {
            each.name: np.frombuffer(raw, _TYPES[each.datatype]).reshape(each.shape)
            for each, raw in zip(request.inputs, request.raw_input_contents, strict=True)
        }
        answer = pb.ModelInferResponse(model_name=request.model_name, id=request.id)
        for name, value in zip(self._outputs, self._session.run(self._outputs, feeds), strict=True):
            answer.outputs.add(name=name, datatype=_DATATYPES[value.dtype], shape=value.shape)
            answer.raw_output_contents.append(value.tobytes())
        return answer
