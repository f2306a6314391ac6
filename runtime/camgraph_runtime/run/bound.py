"""Runs of a session on a GPU through page-locked memory, so that copies neither wait nor hold anything up."""

from __future__ import annotations

import queue
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from camgraph_core.types import AnyArray
from camgraph_runtime.run.backend import Session
from camgraph_runtime.run.batcher import RUNS_AT_ONCE
from camgraph_runtime.run.page_locked import Allocate

_REMEMBERED = 256  # kinds of runs whose outputs' shapes are remembered

Shapes = list[tuple[np.dtype[Any], tuple[int, ...]]]


class BoundSession:
    """Runs a session as `Session.run` does, through memory of `allocate`; safe to use from several threads.

    Each of `RUNS_AT_ONCE` runs has buffers of its own, which grow to what its inputs and outputs take and then stay. An
    output goes into a buffer when its shape follows from those of the inputs, and was seen in a run like this before;
    any other is allocated by onnxruntime. An output that nobody asks for is not copied at all.

    Args:
        session: The session.
        allocate: Gives memory.

    """

    def __init__(self, session: Session, allocate: Allocate) -> None:
        self._session = session
        self._known_axes = {axis for value in session.get_inputs() for axis in value.shape if isinstance(axis, str)}
        self._axes = {value.name: value.shape for value in session.get_outputs()}
        self._shapes: dict[Any, Shapes] = {}
        self._allocate = allocate
        self._buffers: queue.SimpleQueue[_Buffers] = queue.SimpleQueue()
        for _ in range(RUNS_AT_ONCE):
            self._buffers.put(_Buffers(allocate))

    def run(self, names: Sequence[str], feeds: Mapping[str, AnyArray], options: Any = None) -> list[AnyArray]:
        """The outputs of one run, as arrays of their own; waits while `RUNS_AT_ONCE` others go on."""
        kind = _kind(names, feeds)
        with self._free_buffers() as buffers:
            binding = self._session.io_binding()
            for name, value in feeds.items():
                held = buffers.view(name, value.dtype, value.shape)
                held[...] = value
                binding.bind_input(name, "cpu", 0, value.dtype.type, value.shape, held.ctypes.data)
            places = self._bind_outputs(binding, names, buffers, self._shapes.get(kind))
            self._session.run_with_iobinding(binding, options)
            values = [
                given.numpy() if place is None else place.copy()
                for place, given in zip(places, binding.get_outputs(), strict=True)
            ]
        if len(self._shapes) < _REMEMBERED:
            self._shapes.setdefault(kind, [(value.dtype, value.shape) for value in values])
        return values

    def _bind_outputs(
        self, binding: Any, names: Sequence[str], buffers: _Buffers, shapes: Shapes | None
    ) -> list[AnyArray | None]:
        """For each output its place in a buffer, or None where onnxruntime allocates it."""
        places: list[AnyArray | None] = []
        for number, name in enumerate(names):
            if shapes is None or not self._follows(name):
                binding.bind_output(name, "cpu")
                places.append(None)
                continue
            dtype, shape = shapes[number]
            place = buffers.view(name, dtype, shape)
            binding.bind_output(name, "cpu", 0, dtype.type, shape, place.ctypes.data)
            places.append(place)
        return places

    def _follows(self, name: str) -> bool:
        """Whether an output's shape follows from those of the inputs. That of boxes does not: they are any number."""
        return all(isinstance(axis, int) or axis in self._known_axes for axis in self._axes[name])

    @contextmanager
    def _free_buffers(self) -> Iterator[_Buffers]:
        buffers = self._buffers.get()
        try:
            yield buffers
        except BaseException:  # copies of a run that was ended may still be under way
            buffers = _Buffers(self._allocate)
            raise
        finally:
            self._buffers.put(buffers)


class _Buffers:
    """The memory of one run at a time, by the name of the input or output."""

    def __init__(self, allocate: Allocate) -> None:
        self._allocate = allocate
        self._held: dict[str, AnyArray] = {}

    def view(self, name: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> AnyArray:
        """An array of that type and shape; what was in it is lost."""
        size = dtype.itemsize * int(np.prod(shape, dtype=np.int64))
        held = self._held.get(name)
        if held is None or held.size < size:
            held = self._held[name] = self._allocate(max(size, 1))
        return held[:size].view(dtype).reshape(shape)


def _kind(names: Sequence[str], feeds: Mapping[str, AnyArray]) -> Any:
    """What the shapes of the outputs follow from; of a scalar, as the switch of a skippable graph, also the value."""
    inputs = tuple((name, value.shape if value.ndim else value.item()) for name, value in feeds.items())
    return tuple(names), inputs
