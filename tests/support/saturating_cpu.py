"""This machine's onnxruntime as it is on a CPU whose default 8-bit kernels saturate, on every CPU."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from camgraph_runtime.run.backend import Session, SessionSettings
from camgraph_runtime.run.int8 import EXACT_KERNELS
from camgraph_runtime.run.onnx_runtime import OnnxRuntime
from camgraph_runtime.run.providers import ProviderList

Spoil = Callable[[np.ndarray], np.ndarray]


class SaturatingCpu(OnnxRuntime):
    """Stands in for `OnnxRuntime`: graphs that are optimised without exact kernels give spoiled float outputs.

    `settings`: those of every session so far. `spoil`: what the default kernels make of an output. `refuses_exact`:
    whether the exact kernels take no graph. `truly`: whether this machine's CPU saturates.
    """

    settings: ClassVar[list[SessionSettings]]
    spoil: ClassVar[dict[str, Spoil]]
    refuses_exact: ClassVar[bool]
    truly: ClassVar[bool]

    def saturates_int8(self) -> bool:
        return True

    def create_session(self, model: str | bytes, options: SessionSettings, providers: ProviderList) -> Session:
        self.settings.append(options)
        exact = asks_for_exact(options)
        if exact and self.refuses_exact:
            raise RuntimeError("Attempt to replace the existing tensor")
        if self.truly and options.optimize:
            # What is spoiled are right numbers, also where this machine's CPU really saturates.
            options = replace(options, config={**EXACT_KERNELS, **options.config})
        session = super().create_session(model, options, providers)
        return session if exact or not options.optimize else _Spoiled(session, self.spoil)


def asks_for_exact(settings: SessionSettings) -> bool:
    """Whether a session's settings ask for the exact kernels."""
    return EXACT_KERNELS.items() <= settings.config.items()


def saturating_cpu() -> type[SaturatingCpu]:
    """Return a fresh one, so that tests do not see each other's sessions."""
    truly = OnnxRuntime().saturates_int8()
    state = {"settings": [], "spoil": {}, "refuses_exact": False, "truly": truly}
    return type("SaturatingCpu", (SaturatingCpu,), state)


class _Spoiled:
    def __init__(self, session: Session, spoil: Mapping[str, Spoil]) -> None:
        self._session, self._spoil = session, spoil

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def run(
        self, output_names: Sequence[str], feeds: Mapping[str, np.ndarray], run_options: Any = None
    ) -> Sequence[Any]:
        values = self._session.run(output_names, feeds, run_options)
        same: Spoil = np.asarray
        return [self._spoil.get(name, same)(value) for name, value in zip(output_names, values, strict=True)]
