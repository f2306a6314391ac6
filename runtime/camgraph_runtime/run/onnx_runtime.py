"""The installed onnxruntime, as the engine asks it. The only module that imports it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache
from typing import Any

from camgraph_core.errors import DeviceError
from camgraph_runtime.run.backend import Session, SessionSettings
from camgraph_runtime.run.int8 import PROBE_MODEL, saturates
from camgraph_runtime.run.providers import CPU, ProviderList, Request
from camgraph_runtime.run.threads import Threads

_FATAL_ONLY = 4  # onnxruntime logs to stderr what it also raises; the raised error is enough

# From 1.29 on, official Linux builds keep a device id and a database below the user's cache and send events to their
# maker. onnxruntime reads this variable once, while it is imported; its own call to disable events comes too late.
_TELEMETRY_SWITCH = "ORT_DISABLE_TELEMETRY"

# Has onnxruntime remember which provider took which node.
_RECORD_PLACEMENT = "session.record_ep_graph_assignment_info"

# onnxruntime keeps the memory of a graph's largest run for the next one, unless a run asks to give it back.
_SHRINK = "memory.enable_memory_arena_shrinkage", "cpu:0"


class OnnxRuntime:
    """The installed onnxruntime, imported with its telemetry off unless the environment says otherwise.

    Raises:
        DeviceError: onnxruntime is not installed.

    """

    def __init__(self) -> None:
        os.environ.setdefault(_TELEMETRY_SWITCH, "1")
        try:
            import onnxruntime  # noqa: PLC0415 - an optional dependency, and slow to import
        except ImportError as error:
            raise DeviceError(
                f"onnxruntime cannot be imported ({error}). Install camgraph[cpu] or camgraph[gpu]."
            ) from error
        self._ort = onnxruntime

    def available_providers(self) -> Sequence[str]:
        """Names of the providers that this build knows."""
        names: list[str] = self._ort.get_available_providers()
        return names

    def preload_cuda(self) -> None:
        """Loads the CUDA libraries that were installed as Python packages, if this build can."""
        preload = getattr(self._ort, "preload_dlls", None)
        if preload is not None:
            preload()

    def create_session(self, model: str | bytes, options: SessionSettings, providers: ProviderList) -> Session:
        """Loads a model; a provider that cannot start raises, or is left out of ``get_providers()``."""
        settings = self._session_options(options)
        if providers[0][0] != CPU:
            settings.add_session_config_entry(_RECORD_PLACEMENT, "1")
        session: Session = self._ort.InferenceSession(model, settings, providers=providers, enable_fallback=0)
        return session

    def run_options(self, *, gives_back: bool) -> Any:
        """New options of one run; their attribute ``terminate`` ends it."""
        options = self._ort.RunOptions()
        options.log_severity_level = _FATAL_ONLY
        if gives_back:
            options.add_run_config_entry(*_SHRINK)
        return options

    def placement(self, session: Any) -> list[tuple[str, str]]:
        """For each node of a session's graph the provider that has it, and its operator."""
        parts = session.get_provider_graph_assignment_info()
        return [(part.ep_name, node.op_type) for part in parts for node in part.get_nodes()]

    def saturates_int8(self) -> bool:
        """Tells whether the default kernels saturate on this CPU where uint8 and int8 are multiplied."""
        return _saturates_int8()

    def _session_options(self, settings: SessionSettings) -> Any:
        ort = self._ort
        options = ort.SessionOptions()
        options.intra_op_num_threads = settings.threads.intra_op
        options.inter_op_num_threads = settings.threads.inter_op
        options.execution_mode = (
            ort.ExecutionMode.ORT_PARALLEL if settings.threads.inter_op > 1 else ort.ExecutionMode.ORT_SEQUENTIAL
        )
        level = ort.GraphOptimizationLevel
        options.graph_optimization_level = level.ORT_ENABLE_ALL if settings.optimize else level.ORT_DISABLE_ALL
        options.log_severity_level = _FATAL_ONLY
        spinning = "1" if settings.threads.spinning else "0"
        options.add_session_config_entry("session.intra_op.allow_spinning", spinning)
        options.add_session_config_entry("session.inter_op.allow_spinning", spinning)
        for key, value in settings.config.items():
            options.add_session_config_entry(key, value)
        return options


@cache
def _saturates_int8() -> bool:
    """Runs the probe model once per process: the CPU stays the same."""
    session = OnnxRuntime().create_session(
        PROBE_MODEL, SessionSettings(Threads(1), optimize=False, config={}), Request().providers
    )
    return saturates(lambda feeds: session.run(["y"], feeds)[0])


def cpu_saturates_int8() -> bool:
    """Tell whether onnxruntime's default kernels saturate on this CPU where uint8 and int8 are multiplied.

    Raises:
        DeviceError: onnxruntime is not installed.

    """
    return OnnxRuntime().saturates_int8()
