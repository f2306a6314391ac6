"""What the engine needs of onnxruntime, so that another program can run the graph, and a test can play a machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from camgraph_runtime.run.providers import ProviderList
from camgraph_runtime.run.threads import Threads


class Runs(Protocol):
    """What runs a graph."""

    def run(  # noqa: D102 - onnxruntime's own name and meaning
        self, output_names: Sequence[str], feeds: Mapping[str, np.ndarray], run_options: Any = ...
    ) -> Sequence[Any]: ...


class Session(Runs, Protocol):
    """What the engine needs of an ``onnxruntime.InferenceSession``."""

    def get_inputs(self) -> Sequence[Any]: ...  # noqa: D102 - onnxruntime's own names and meaning
    def get_outputs(self) -> Sequence[Any]: ...  # noqa: D102 - as above
    def get_providers(self) -> Sequence[str]: ...  # noqa: D102 - as above
    def get_modelmeta(self) -> Any: ...  # noqa: D102 - as above


class Backend(Protocol):
    """What the engine needs of onnxruntime as a whole."""

    def available_providers(self) -> Sequence[str]:
        """Names of the providers that this build knows."""

    def preload_cuda(self) -> None:
        """Loads the CUDA libraries that were installed as Python packages."""

    def create_session(self, model: str | bytes, options: SessionSettings, providers: ProviderList) -> Session:
        """Loads a model; a provider that cannot start raises, or is left out of ``get_providers()``."""

    def placement(self, session: Session) -> Sequence[tuple[str, str]]:
        """For each node of a session's graph the provider that has it, and its operator."""

    def run_options(self, *, gives_back: bool) -> Any:
        """New options of one run; their attribute ``terminate`` ends it.

        Args:
            gives_back: Whether memory that the run took goes back to the system after it.

        """

    def saturates_int8(self) -> bool:
        """Tells whether the default kernels saturate on this CPU where uint8 and int8 are multiplied."""


@dataclass(frozen=True)
class SessionSettings:
    """Settings of one session: threads, graph optimisation, and onnxruntime's own config entries."""

    threads: Threads
    optimize: bool
    config: Mapping[str, str]
