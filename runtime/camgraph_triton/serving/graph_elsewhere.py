"""A graph that another model of the same Triton runs, and that is not loaded in this process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils

from camgraph_runtime.run.backend import SessionSettings
from camgraph_runtime.run.engine import TensorInfo
from camgraph_runtime.run.providers import CPU, ProviderList
from camgraph_triton.serving.exchange import ModelCallError, with_axes
from camgraph_triton.signature import Signature


@dataclass(frozen=True)
class GraphElsewhere:
    """Takes the place of onnxruntime for an `Engine` whose model is the file of a `Signature`.

    Attributes:
        name: Name of the model that runs the graph.
        version: Its version.
    """

    name: str
    version: int

    def available_providers(self) -> Sequence[str]:
        """What Triton runs the graph on is its own matter."""
        return [CPU]

    def create_session(self, model: str | bytes, _: SessionSettings, __: ProviderList) -> Any:
        """The graph, whose file is not loaded here."""
        assert isinstance(model, bytes)
        return _Session(self, Signature.from_json(model))

    def run_options(self, *, gives_back: bool) -> Any:  # noqa: ARG002 - its memory is Triton's matter
        """Options of a run, which nobody ends from here."""
        return SimpleNamespace(terminate=False)

    def saturates_int8(self) -> bool:
        """The other model decides which kernels it takes."""
        return False

    def run(self, outputs: Sequence[str], feeds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """Runs the graph once.

        Raises:
            ModelCallError: The other model did not answer.
        """
        request = pb_utils.InferenceRequest(
            model_name=self.name,
            model_version=self.version,
            requested_output_names=list(outputs),
            inputs=[pb_utils.Tensor(name, with_axes(array)) for name, array in feeds.items()],
            preferred_memory=pb_utils.PreferredMemory(pb_utils.TRITONSERVER_MEMORY_CPU, 0),
        )
        response = request.exec()
        if response.has_error():
            error = response.error()
            raise ModelCallError(f"The model {self.name} failed: {error.message()}", error.code())
        return [pb_utils.get_output_tensor_by_name(response, name).as_numpy() for name in outputs]


class _Session:
    """What an `Engine` asks of a session."""

    def __init__(self, graph: GraphElsewhere, signature: Signature) -> None:
        self._graph = graph
        self._signature = signature

    def run(self, output_names: Sequence[str], feeds: Mapping[str, np.ndarray], _: Any = None) -> Sequence[Any]:
        return self._graph.run(output_names, feeds)

    def get_inputs(self) -> Sequence[Any]:
        return [_node(info) for info in self._signature.inputs]

    def get_outputs(self) -> Sequence[Any]:
        return [_node(info) for info in self._signature.outputs]

    def get_providers(self) -> Sequence[str]:
        return [CPU]

    def get_modelmeta(self) -> Any:
        return SimpleNamespace(custom_metadata_map=self._signature.metadata)


def _node(info: TensorInfo) -> Any:
    return SimpleNamespace(name=info.name, type=info.dtype, shape=info.shape)
