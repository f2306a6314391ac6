"""A memory bank beside its graph: where it lies, what it takes, and what an explanation needs for it."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from camgraph.v1.manifest_pb2 import Manifest
from camgraph_core.canvas import Canvas
from camgraph_core.errors import UnsupportedError
from camgraph_core.explanation import Explanation
from camgraph_core.types import AnyArray
from camgraph_runtime.bank.memory_bank import MemoryBank, arrays_size
from camgraph_runtime.plan import Plan, find_layer

_GRAPH, _BANK = "model.onnx", "bank.npz"


def bank_path(graph: Path) -> Path:
    """Where the bank of a graph lies: beside ``model.onnx`` as ``bank.npz``, else as ``NAME.onnx.bank.npz``."""
    return graph.with_name(_BANK if graph.name == _GRAPH else f"{graph.name}.{_BANK}")


def bank_of(graph: Path) -> MemoryBank | None:
    """The bank that lies beside a graph; None if there is none.

    Raises:
        InvalidInputError: It cannot be read.

    """
    path = bank_path(graph)
    return MemoryBank.load(path) if _exists(path) else None


def bank_bytes(graph: Path) -> int:
    """Bytes of the arrays of the bank that lies beside a graph; 0 if there is none.

    Raises:
        InvalidInputError: It is not a bank.

    """
    path = bank_path(graph)
    return arrays_size(path) if _exists(path) else 0


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:  # the graph's name is as long as one may be
            return False
        raise


def with_bank(plan: Plan, bank: MemoryBank | None, manifest: Manifest) -> Plan:
    """The plan with the activations that its bank is asked with.

    Raises:
        UnsupportedError: The request asks for distances to a bank, and the model has none.

    """
    if not plan.request.bank:
        return plan
    if bank is None:
        raise UnsupportedError(
            f"The model has no memory bank. Build one with camgraph build-bank, and put it beside the graph as {_BANK}."
        )
    needed = [find_layer(manifest, name).activations_tensor for name in bank.header.layers]
    return replace(plan, outputs=tuple(dict.fromkeys((*plan.outputs, *needed))))


def distances_of(
    plan: Plan, bank: MemoryBank | None, manifest: Manifest, outputs: Mapping[str, AnyArray], canvas: Canvas
) -> list[Explanation]:
    """The distances to the bank as an explanation, where the plan asks for them.

    Args:
        plan: What was asked.
        bank: The bank.
        manifest: The manifest of the graph.
        outputs: The graph's outputs for this image.
        canvas: What pictures are drawn on and with.

    """
    if not plan.request.bank or bank is None:
        return []
    layers = [find_layer(manifest, name) for name in bank.header.layers]
    return [bank.measured([outputs[layer.activations_tensor] for layer in layers], manifest, canvas)]
