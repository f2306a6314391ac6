"""A machine with or without a GPU, or a CPU whose 8-bit kernels saturate, played by a backend of the engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from camgraph_runtime.run.backend import SessionSettings
from camgraph_runtime.run.int8 import EXACT_KERNELS
from camgraph_runtime.run.providers import CPU, ProviderList


class FakeSession:
    def __init__(self, providers: Sequence[str]) -> None:
        self._providers = providers

    def get_inputs(self) -> Sequence[Any]:
        return []

    def get_outputs(self) -> Sequence[Any]:
        return []

    def get_providers(self) -> Sequence[str]:
        return self._providers

    def get_modelmeta(self) -> Any:
        return type("Meta", (), {"custom_metadata_map": {}})()

    def run(self, _: Sequence[str], __: Mapping[str, np.ndarray]) -> Sequence[Any]:
        return []


class Request:
    def __init__(self, settings: SessionSettings, providers: ProviderList) -> None:
        self.settings, self.providers = settings, providers


class FakeBackend:
    """A machine that a test plays.

    ``starts``: providers that really work; the others fail loudly, or are silently left out. ``saturates``: whether
    the CPU's default kernels do. ``refuses_exact``: whether the graph is one that the exact kernels do not take.
    ``placed``: the provider and the operator of each node.
    """

    def __init__(
        self,
        available: Sequence[str],
        starts: Sequence[str] = (CPU,),
        *,
        loud: bool = True,
        saturates: bool = False,
        refuses_exact: bool = False,
        placed: Sequence[tuple[str, str]] = (),
    ) -> None:
        self._available, self._starts, self._loud = available, starts, loud
        self._saturates, self._refuses_exact = saturates, refuses_exact
        self._placed = placed
        self.requests: list[Request] = []
        self.preloaded = 0

    def available_providers(self) -> Sequence[str]:
        return self._available

    def preload_cuda(self) -> None:
        self.preloaded += 1

    def create_session(self, _: str | bytes, options: SessionSettings, providers: ProviderList) -> FakeSession:
        self.requests.append(Request(options, providers))
        if self._refuses_exact and EXACT_KERNELS.items() <= options.config.items():
            raise RuntimeError("Attempt to replace the existing tensor")
        names = [name for name, _ in providers]
        if self._loud and not set(names) <= set(self._starts):
            raise RuntimeError("CUDA failure 100: no CUDA-capable device is detected")
        return FakeSession([name for name in names if name in self._starts])

    def placement(self, _: FakeSession) -> Sequence[tuple[str, str]]:
        return self._placed

    def run_options(self, *, gives_back: bool) -> Any:  # noqa: ARG002 - it runs nothing
        return None

    def saturates_int8(self) -> bool:
        return self._saturates
