"""Loads and runs ONNX graphs of any kind."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Self, TypeAlias

import numpy as np

from camgraph_core.errors import (
    InferenceError,
    InvalidGraphError,
    TooLargeError,
)
from camgraph_runtime.run import onnx_runtime
from camgraph_runtime.run.backend import Backend, Runs, Session, SessionSettings
from camgraph_runtime.run.int8 import EXACT_KERNELS, refusal_note
from camgraph_runtime.run.per_shape import SessionPerShape
from camgraph_runtime.run.providers import (
    CPU,
    CUDA,
    Device,
    Request,
    active_provider,
    not_started,
    placement_note,
    request_for,
)
from camgraph_runtime.run.stop import Stop, StoppedError
from camgraph_runtime.run.tensor_info import TensorInfo, check_feeds
from camgraph_runtime.run.threads import Threads

__all__ = [
    "Device",
    "Engine",
    "TensorInfo",
    "Threads",
]

_LARGE = 16 * 1024 * 1024  # bytes of inputs from which on a run gives its memory back, which takes 1 % of its time
_OUT_OF_MEMORY = ("Failed to allocate memory", "bad_alloc", "out of memory")  # in messages of onnxruntime
_REMEMBERED = 256  # combinations of shapes whose check is remembered

Feeds: TypeAlias = Mapping[str, np.ndarray]
"""The inputs of a run, by name."""

_NUMPY_NAMES = {"float": "float32", "double": "float64", "bfloat16": "bfloat16", "string": "str"}


class Engine:
    """One loaded graph, of any kind, ready to run from several threads at once.

    Args:
        model: Path of an ``.onnx`` file, or its bytes (then without external data).
        device: "cpu"; a provider of onnxruntime with or without options, such as "cuda" or
            "openvino:device_type=CPU,num_streams=1", which runs or raises; or "auto", which takes CUDA where it
            works. `execution_provider` says what was taken, and `notes` which nodes it leaves to the CPU.
        threads: Thread counts; by default `Threads.latency`.
        optimize: Whether onnxruntime may rewrite the graph (fusion, constant folding).
        exact_int8: Whether to take exact kernels where the CPU's default ones saturate in sums of uint8 x int8
            products. They need ``optimize``. `exact_int8` says whether such sums are exact, and `notes` has a
            sentence where onnxruntime cannot load the graph with exact kernels.
        session_config: onnxruntime's config entries, for example ``{"session.set_denormal_as_zero": "1"}``.
        shapes: On CUDA, for how many shapes of images, such as sizes of batches, to hold a session each: see
            `SessionPerShape`. Each takes memory for the weights. Other devices take no notice.
        backend: Stands in for onnxruntime: in tests, and where another program runs the graph.

    Attributes:
        is_large: Says of the inputs of a run whether its memory goes back to the system after it, on the CPU and where
            a `Stop` was given. That of its outputs goes back after the next run.

    Raises:
        InvalidGraphError: The file is missing, damaged, or uses what onnxruntime does not know.
        DeviceError: The device is not available.

    """

    def __init__(
        self,
        model: str | Path | bytes,
        *,
        device: Device = "cpu",
        threads: Threads | None = None,
        optimize: bool = True,
        exact_int8: bool = True,
        session_config: Mapping[str, str] | None = None,
        shapes: int = 1,
        backend: Backend | None = None,
    ) -> None:
        backend = backend or onnx_runtime.OnnxRuntime()
        self.name = "the graph" if isinstance(model, bytes) else Path(model).name
        self.threads = threads or Threads.latency()
        request = request_for(device, backend.available_providers())
        settings = SessionSettings(self.threads, optimize, session_config or {})
        if request.uses_cuda:
            backend.preload_cuda()
        self._run_options = backend.run_options
        self.is_large: Callable[[Feeds], bool] = _has_large_inputs
        self._owes = False
        self.int8_notes: tuple[str, ...] = ()
        self.exact_int8 = not backend.saturates_int8()
        load = self._load_exact if exact_int8 and optimize and not self.exact_int8 else self._load
        session = load(backend, model, settings, request)
        self.execution_provider = active_provider(request, session.get_providers())
        note = (
            ""
            if self.execution_provider == CPU
            else placement_note(self.execution_provider, backend.placement(session))
        )
        self.notes = (*self.int8_notes, *([note] if note else []))
        self.inputs = {info.name: info for info in map(_tensor_info, session.get_inputs())}
        self.outputs = {info.name: info for info in map(_tensor_info, session.get_outputs())}
        self.metadata: dict[str, str] = dict(session.get_modelmeta().custom_metadata_map)
        self._session: Runs | None = session
        if self.execution_provider == CUDA:
            others = range(1, 1 if self._has_one_shape() else shapes)
            sessions = [session, *(load(backend, model, settings, request) for _ in others)]
            self._session = SessionPerShape(sessions)
        self._output_names = list(self.outputs)
        # The same question comes with every run; asking it anew takes as long as a few operators.
        self._check_feeds = lru_cache(maxsize=_REMEMBERED)(partial(check_feeds, self.inputs))

    def run(
        self, feeds: Mapping[str, np.ndarray], outputs: Sequence[str] | None = None, stop: Stop | None = None
    ) -> dict[str, np.ndarray]:
        """Runs the graph once; safe to call from several threads.

        Args:
            feeds: One array for each input, with exactly its element type and shape.
            outputs: Names of the outputs to fetch; all by default.
            stop: Ends the run from another thread; onnxruntime looks at it between two operators.

        Returns:
            The fetched arrays by name, as onnxruntime gives them.

        Raises:
            InvalidInputError: An input is missing, unknown, or of the wrong type or shape.
            TooLargeError: There is not enough memory for it.
            InferenceError: The engine is closed, an output is unknown, or onnxruntime failed.
            StoppedError: The run was ended.

        """
        session = self._session
        if session is None:
            raise InferenceError(f"The engine of {self.name} is closed. Load the graph again.")
        names = self._output_names if outputs is None else self._known(outputs)
        self._check_feeds(tuple((name, value.dtype, value.shape) for name, value in feeds.items()))
        try:
            values = session.run(names, feeds) if stop is None else self._run_until(stop, session, names, feeds)
        except StoppedError:
            raise
        except Exception as error:  # onnxruntime has no errors of its own that it documents
            if isinstance(error, MemoryError) or any(words in str(error) for words in _OUT_OF_MEMORY):
                raise TooLargeError(
                    f"There is not enough memory to run {self.name}; give a smaller input, or fewer targets."
                ) from error
            raise InferenceError(f"Running {self.name} failed: {_reason(error)}") from error
        return dict(zip(names, values, strict=True))

    def _run_until(
        self, stop: Stop, session: Runs, names: Sequence[str], feeds: Mapping[str, np.ndarray]
    ) -> Sequence[Any]:
        is_large = self.execution_provider == CPU and self.is_large(feeds)
        options = self._run_options(gives_back=is_large or self._owes)
        self._owes = is_large  # its outputs are still there when it gives back
        with stop.ending(lambda: setattr(options, "terminate", True)):
            try:
                return session.run(names, feeds, options)
            except Exception:  # a run that was ended raises what any failed run does
                stop.check()
                raise

    def _has_one_shape(self) -> bool:
        """Whether no axis of the inputs is open."""
        return all(isinstance(axis, int) for info in self.inputs.values() for axis in info.shape)

    def _known(self, outputs: Sequence[str]) -> list[str]:
        for name in outputs:
            if name not in self.outputs:
                raise InferenceError(f"{self.name} has no output {name!r}; it has {', '.join(self.outputs)}.")
        return list(outputs)

    def close(self) -> None:
        """Frees the session once the runs under way have ended. Later runs raise `InferenceError`."""
        self._session = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _load_exact(
        self,
        backend: Backend,
        model: str | Path | bytes,
        settings: SessionSettings,
        request: Request,
    ) -> Session:
        """Loads the graph with exact kernels; where onnxruntime cannot, with its default ones and a note."""
        exact = replace(settings, config={**EXACT_KERNELS, **settings.config})
        try:
            session = self._load(backend, model, exact, request)
        except InvalidGraphError:
            session = self._load(backend, model, settings, request)
            self.int8_notes = (refusal_note(self.name),)
            return session
        self.exact_int8 = True
        return session

    def _load(
        self,
        backend: Backend,
        model: str | Path | bytes,
        settings: SessionSettings,
        request: Request,
    ) -> Session:
        if not isinstance(model, bytes):
            _check_file(Path(model))
            model = str(model)
        try:
            return backend.create_session(model, settings, request.providers)
        except Exception as error:  # as in a run
            # The graph may be fine and the provider not: only a load on the CPU tells the two apart.
            on_cpu = _load_on_cpu(backend, model, settings) if len(request.providers) > 1 else None
            if on_cpu is None:
                advice = " Check that the file is complete and that its external data, if any, lies beside it."
                advice = "" if isinstance(model, bytes) else advice
                raise InvalidGraphError(
                    f"{self.name} cannot be loaded as an ONNX graph: {_reason(error)}{advice}"
                ) from error
            if request.wanted is not None:
                raise not_started(request, f"onnxruntime cannot start it: {_reason(error)}") from error
            return on_cpu


def _has_large_inputs(feeds: Feeds) -> bool:
    return sum(value.nbytes for value in feeds.values()) >= _LARGE


def _check_file(path: Path) -> None:
    if not path.is_file():
        what = "is a directory" if path.is_dir() else "does not exist"
        raise InvalidGraphError(f"{path} {what}; give the path of an .onnx file.")
    if path.stat().st_size == 0:
        raise InvalidGraphError(f"{path} is empty; export the graph again.")


def _load_on_cpu(backend: Backend, model: str | bytes, settings: SessionSettings) -> Session | None:
    try:
        return backend.create_session(model, settings, Request().providers)
    except Exception:  # then the graph is at fault, and the caller has its error
        return None


def _tensor_info(value: Any) -> TensorInfo:
    """From onnxruntime's NodeArg: its type reads "tensor(float)", its axes are numbers, symbols or None."""
    element = re.sub(r"^tensor\((.*)\)$", r"\1", value.type)
    shape = tuple(axis if isinstance(axis, int) or axis else None for axis in value.shape)
    return TensorInfo(value.name, _NUMPY_NAMES.get(element, element), shape)


def _reason(error: Exception) -> str:
    """The first line of onnxruntime's message without its error-code prefix, ended by a full stop."""
    text = re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : (Load model from .* failed:)?", "", str(error)).strip()
    line = text.splitlines()[0].strip() if text else type(error).__name__
    return line if line.endswith(".") else line + "."
