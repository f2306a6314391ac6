"""One graph on the server of KServe's SDK, as benchmarks/serving.py measures it. It runs where that SDK is installed.

    python benchmarks/serving_kserve.py GRAPH PACKAGES THREADS --http_port 8080 --grpc_port 8081

PACKAGES is a folder that has onnxruntime, THREADS is how many calls run beside one another. The options that follow
are those of KServe's `ModelServer`.
"""

from __future__ import annotations

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer

GRAPH, PACKAGES, THREADS = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
del sys.argv[1:4]
sys.path.append(PACKAGES)  # after what is installed here

import onnxruntime  # noqa: E402 - it is found only now

_DATATYPES = {"tensor(float)": "FP32", "tensor(int64)": "INT64", "tensor(bool)": "BOOL"}


class Graph(Model):  # type: ignore[misc]  # KServe's SDK is not installed where types are checked
    """The graph's own inputs and outputs. Each call runs on a thread of its own, as KServe advises for long work."""

    def __init__(self) -> None:
        super().__init__(GRAPH.name.partition(".")[0] + ".tensors")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(GRAPH, options, providers=["CPUExecutionProvider"])
        self._outputs = [(each.name, _DATATYPES[each.type]) for each in self._session.get_outputs()]
        self._pool = ThreadPoolExecutor(THREADS)
        self.ready = True

    async def predict(
        self,
        payload: InferRequest,
        headers: object = None,  # noqa: ARG002 - KServe gives them by name
    ) -> InferResponse:
        """Runs the graph."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._run, payload)

    def _run(self, payload: InferRequest) -> InferResponse:
        feeds = {each.name: each.as_numpy() for each in payload.inputs}
        values = self._session.run([name for name, _ in self._outputs], feeds)
        outputs = []
        for (name, datatype), value in zip(self._outputs, values, strict=True):
            outputs.append(InferOutput(name, list(value.shape), datatype))
            outputs[-1].set_data_from_numpy(value)
        return InferResponse(payload.id, self.name, outputs)


if __name__ == "__main__":
    ModelServer(workers=1).start([Graph()])
